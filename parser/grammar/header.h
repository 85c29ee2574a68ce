// INSTRUCTION [--flag[=value] …] [--] arguments
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct keyword : word {};

// In a flag both kinds of quotes can hold escapes.
template <char Escape, char Quote>
struct flag_quoted : pegtl::seq<pegtl::one<Quote>, pegtl::star<pegtl::sor<escaped<Escape>, pegtl::not_one<Quote>>>,
                                pegtl::sor<pegtl::one<Quote>, pegtl::eof>> {};

template <char Escape>
struct flag
    : pegtl::seq<
          pegtl::two<'-'>,
          pegtl::plus<pegtl::sor<escaped<Escape>, flag_quoted<Escape, '"'>, flag_quoted<Escape, '\''>, nonblank>>> {};

struct end_of_flags : pegtl::seq<blanks, pegtl::two<'-'>, pegtl::at<pegtl::sor<blank, pegtl::eof>>> {};

struct arguments : rest {};

template <char Escape>
struct header : pegtl::seq<keyword, pegtl::star<blanks, flag<Escape>>, pegtl::opt<end_of_flags>, pegtl::opt<blanks>,
                           pegtl::opt<arguments>, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
