FROM base
ENV P=foobarbaz/foobar.tar.gz
ENV A=baz/foobar.tar.gz B=.tar.gz C=foobarbaz/foobar.tar D=foobarbaz/foobar E=fooXbaz/foobar.tar.gz F=fooXbaz/fooX.tar.gz G=foobarbaz/foobar.tar.gz H=fooYbaz/foobar.tar.gz
