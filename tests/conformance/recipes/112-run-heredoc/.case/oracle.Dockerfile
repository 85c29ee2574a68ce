FROM base
RUN echo "one $HOME" > /one; echo two > /two
RUN printf "tabs\ngone\n" > /three
RUN echo '$X' > /raw
