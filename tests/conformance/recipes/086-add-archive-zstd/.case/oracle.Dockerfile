FROM base
COPY files /z/
