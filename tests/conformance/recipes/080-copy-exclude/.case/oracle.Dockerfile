FROM base
COPY src /all
RUN mkdir /no /less && cp -a /all/.hidden /all/keep.md /all/deep /no/ && rm -r /no/deep/er && cp -a /all/. /less/ && rm /less/deep/er/three.txt && rm -r /all
