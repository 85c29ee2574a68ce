FROM base
RUN echo "hello world" > /greeting; mkdir /dir; echo 'raw $NAME' > /dir/RAW; echo less > /dir/TABS; echo "#!/bin/sh" > /script; chown 1000:1000 /script; chmod 700 /script
