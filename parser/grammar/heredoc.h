// <<NAME, <<-NAME, <<"NAME" among the words of a line.
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

// Here an open quote is no match: a line whose quotes don't close announces no heredoc.
template <char Escape>
struct closed_double_quoted
    : pegtl::seq<pegtl::one<'"'>, pegtl::star<pegtl::sor<escaped<Escape>, pegtl::not_one<'"'>>>, pegtl::one<'"'>> {};
struct closed_single_quoted : pegtl::seq<pegtl::one<'\''>, pegtl::star<pegtl::not_one<'\''>>, pegtl::one<'\''>> {};
struct unquoted : pegtl::not_one<' ', '\t', '\v', '\f', '\r', '"', '\''> {};

template <char Escape>
struct shell_word
    : pegtl::plus<pegtl::sor<escaped<Escape>, closed_double_quoted<Escape>, closed_single_quoted, unquoted>> {};
template <char Escape>
struct shell_words : pegtl::seq<pegtl::opt<blanks>, pegtl::star<shell_word<Escape>, pegtl::opt<blanks>>, pegtl::eof> {};

struct strip_tabs : pegtl::one<'-'> {};
struct name_character : pegtl::not_one<'<', '"', '\''> {};
struct double_quoted_name : pegtl::star<pegtl::not_one<'<', '"'>> {};
struct single_quoted_name : pegtl::star<pegtl::not_one<'<', '\''>> {};
template <char Escape>
struct escaped_in_name : pegtl::seq<pegtl::one<Escape>, pegtl::any> {};
template <char Escape>
struct heredoc_name : pegtl::plus<pegtl::sor<pegtl::seq<pegtl::one<'"'>, double_quoted_name, pegtl::one<'"'>>,
                                             pegtl::seq<pegtl::one<'\''>, single_quoted_name, pegtl::one<'\''>>,
                                             escaped_in_name<Escape>, name_character>> {};

// A number before it is a file descriptor of the shell's. `<<<` is the shell's own.
template <char Escape>
struct heredoc
    : pegtl::seq<pegtl::star<pegtl::digit>, pegtl::two<'<'>, pegtl::opt<strip_tabs>, heredoc_name<Escape>, pegtl::eof> {
};

}  // namespace mkimg::parser::grammar
