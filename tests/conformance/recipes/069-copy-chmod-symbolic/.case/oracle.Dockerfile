FROM base
COPY a.txt /a
RUN chmod 0600 /a
COPY b.txt /b
RUN chmod 0755 /b
COPY src /src
RUN chmod -R go-r /src
