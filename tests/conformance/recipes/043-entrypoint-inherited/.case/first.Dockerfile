FROM base
ENTRYPOINT ["/bin/echo"]
CMD ["theirs"]
