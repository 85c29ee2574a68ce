// What the grammars of the instructions have in common. A grammar reads one logical line, or the
// part of it after the flags; it matches more than what is right, so that faults get words of
// their own: for example an open quote reaches to the end of the line.
#pragma once

#include <tao/pegtl.hpp>

#include <string_view>
#include <type_traits>

namespace mkimg::parser::grammar {

namespace pegtl = tao::pegtl;

struct blank : pegtl::one<' ', '\t', '\v', '\f', '\r'> {};
struct nonblank : pegtl::not_one<' ', '\t', '\v', '\f', '\r'> {};
struct blanks : pegtl::plus<blank> {};
struct word : pegtl::plus<nonblank> {};
struct rest : pegtl::plus<pegtl::any> {};

template <char Escape>
struct escaped : pegtl::seq<pegtl::one<Escape>, pegtl::sor<pegtl::any, pegtl::eof>> {};

template <char Escape>
struct double_quoted : pegtl::seq<pegtl::one<'"'>, pegtl::star<pegtl::sor<escaped<Escape>, pegtl::not_one<'"'>>>,
                                  pegtl::sor<pegtl::one<'"'>, pegtl::eof>> {};

struct single_quoted
    : pegtl::seq<pegtl::one<'\''>, pegtl::star<pegtl::not_one<'\''>>, pegtl::sor<pegtl::one<'\''>, pegtl::eof>> {};

// A word in which quotes and escapes protect blanks.
template <char Escape>
struct quoted_word : pegtl::plus<pegtl::sor<escaped<Escape>, double_quoted<Escape>, single_quoted, nonblank>> {};

using Input = pegtl::memory_input<pegtl::tracking_mode::lazy, pegtl::eol::lf, const char*>;

inline Input input_of(std::string_view text) {
    return {text.data(), text.data() + text.size(), "recipe"};
}

// Calls `use` with the escape character as a constant that a grammar can be made with.
template <typename Use>
auto with_escape(char escape, Use use) {
    if (escape == '`') return use(std::integral_constant<char, '`'>());
    return use(std::integral_constant<char, '\\'>());
}

}  // namespace mkimg::parser::grammar
