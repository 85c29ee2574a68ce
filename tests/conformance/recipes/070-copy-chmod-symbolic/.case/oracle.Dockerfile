FROM base
COPY a.txt /a
RUN chmod 0600 /a
COPY b.txt /b
RUN chmod 0755 /b
COPY src /src
RUN cd /src && chmod -R go-r .hidden deep one.txt
