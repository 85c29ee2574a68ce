FROM base
ENTRYPOINT ["/bin/echo"]
