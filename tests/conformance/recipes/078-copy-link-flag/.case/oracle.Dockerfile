FROM base
COPY a.txt /linked/
COPY src /linked/src
