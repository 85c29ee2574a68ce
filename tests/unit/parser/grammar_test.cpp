// Each grammar must consume input in every loop and recursion; pegtl::analyze proves it.
#include <gtest/gtest.h>

#include <tao/pegtl/contrib/analyze.hpp>

#include "parser/grammar/assignments.h"
#include "parser/grammar/command.h"
#include "parser/grammar/directive.h"
#include "parser/grammar/exec_form.h"
#include "parser/grammar/from.h"
#include "parser/grammar/header.h"
#include "parser/grammar/healthcheck.h"
#include "parser/grammar/heredoc.h"
#include "parser/grammar/onbuild.h"
#include "parser/grammar/text.h"
#include "parser/grammar/words.h"

namespace mkimg::parser::grammar {
namespace {

template <typename Grammar>
class Analysis : public testing::Test {};

using Grammars = testing::Types<directive, header<'\\'>, header<'`'>, shell_words<'\\'>, shell_words<'`'>,
                                heredoc<'\\'>, heredoc<'`'>, exec_form, shell_form, words, from, valid_stage_name,
                                assignments<'\\'>, assignments<'`'>, legacy_assignment, text, healthcheck, onbuild>;
TYPED_TEST_SUITE(Analysis, Grammars);

TYPED_TEST(Analysis, EveryLoopConsumesInput) {
    EXPECT_EQ(pegtl::analyze<TypeParam>(1), 0U);
}

// The check itself finds what it is for.
struct endless : pegtl::star<pegtl::opt<blank>> {};
TEST(Analysis, FindsAnEndlessLoop) {
    EXPECT_NE(pegtl::analyze<endless>(-1), 0U);
}

}  // namespace
}  // namespace mkimg::parser::grammar
