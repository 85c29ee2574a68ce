FROM base
HEALTHCHECK --interval=1s CMD true
