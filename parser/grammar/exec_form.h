// ["program", "argument", …]: a JSON array of strings (RFC 8259).
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct json_blanks : pegtl::star<pegtl::one<' ', '\t', '\n', '\r'>> {};
struct json_plain : pegtl::seq<pegtl::not_at<pegtl::range<'\x00', '\x1f'>>, pegtl::not_one<'"', '\\'>> {};
struct json_short_escape : pegtl::one<'"', '\\', '/', 'b', 'f', 'n', 'r', 't'> {};
struct json_hex : pegtl::rep<4, pegtl::xdigit> {};
struct json_escape
    : pegtl::seq<pegtl::one<'\\'>, pegtl::sor<json_short_escape, pegtl::seq<pegtl::one<'u'>, json_hex>>> {};
struct json_text : pegtl::star<pegtl::sor<json_plain, json_escape>> {};
struct json_string : pegtl::seq<pegtl::one<'"'>, json_text, pegtl::one<'"'>> {};

struct exec_form : pegtl::seq<json_blanks, pegtl::one<'['>, json_blanks,
                              pegtl::opt<pegtl::list<json_string, pegtl::one<','>, pegtl::one<' ', '\t', '\n', '\r'>>>,
                              json_blanks, pegtl::one<']'>, json_blanks, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
