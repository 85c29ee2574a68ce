#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mkimg {
namespace {

SourceRange range(std::string excerpt, std::uint32_t column, std::uint32_t end_column) {
    return {"Dockerfile", 7, column, 7, end_column, std::move(excerpt)};
}

TEST(Error, WhatShowsContextOutermostFirst) {
    Error e(ErrorCode::corrupt, "digest differs", "try again");
    e.add_context("unpack layer 3").add_context("pull debian");
    EXPECT_STREQ(e.what(), "pull debian: unpack layer 3: digest differs");
    EXPECT_EQ(e.message(), "digest differs");
    EXPECT_EQ(e.hint(), "try again");
}

// The table of base/error.h and of the command line's page.
TEST(Error, ExitStatusesAreTheDocumentedOnes) {
    EXPECT_EQ(exit_status(ErrorCode::build_failed), 1);
    EXPECT_EQ(exit_status(ErrorCode::not_found), 1);
    EXPECT_EQ(exit_status(ErrorCode::usage), 2);
    EXPECT_EQ(exit_status(ErrorCode::recipe), 2);
    EXPECT_EQ(exit_status(ErrorCode::unsupported), 2);
    EXPECT_EQ(exit_status(ErrorCode::host), 3);
    EXPECT_EQ(exit_status(ErrorCode::cancelled), 130);
}

TEST(Render, PutsTheCaretUnderTheFault) {
    Error e(ErrorCode::recipe, "unknown instruction RUNN", "did you mean RUN?");
    e.set_where(range("  RUNN true", 3, 7));
    EXPECT_EQ(render(e),
              "Dockerfile:7:3: error: unknown instruction RUNN\n"
              "  7 |   RUNN true\n"
              "    |   ^~~~\n"
              "  hint: did you mean RUN?\n");
}

TEST(Render, CountsColumnsAsTheTerminalDoes) {
    Error e(ErrorCode::recipe, "bad");
    e.set_where(range("\xE6\x97\xA5 x", 5, 6));  // a wide character, a blank, the fault
    EXPECT_EQ(render(e), "Dockerfile:7:5: error: bad\n  7 | \xE6\x97\xA5 x\n    |    ^\n");
    e.set_where(range("\tRUN x", 2, 5));  // a tab stays a tab, however wide it is shown
    EXPECT_EQ(render(e), "Dockerfile:7:2: error: bad\n  7 | \tRUN x\n    | \t^~~\n");
    e.set_where(
        range("a\x01"
              "b",
              3, 4));  // an escaped byte takes four columns
    EXPECT_EQ(render(e), "Dockerfile:7:3: error: bad\n  7 | a\\x01b\n    |      ^\n");
}

TEST(Render, SurvivesRangesOutsideTheText) {
    Error e(ErrorCode::recipe, "bad");
    for (const auto& [column, end] :
         {std::pair{1U, 900U}, {900U, 901U}, {3U, 2U}, {0U, 0U}, {4294967295U, 4294967295U}}) {
        e.set_where(range("RUN", column, end));
        EXPECT_NE(render(e).find("error: bad"), std::string::npos);
    }
    e.set_where(range("e\xCC\x81", 2, 4));  // a range of no width at all
    EXPECT_EQ(render(e), "Dockerfile:7:2: error: bad\n  7 | e\xCC\x81\n    |  ^\n");
    e.set_where(range("", 1, 1));
    EXPECT_NE(render(e).find("^"), std::string::npos);
}

TEST(Render, HostileTextCantSteerTheTerminal) {
    Error e(ErrorCode::recipe, "name \x1B]0;owned\x07", "hint \x1B[2J");
    e.set_where({"Docker\x1B[8mfile", 1, 1, 1, 2, "\x1B[1A"});
    e.set_detail("out \x1B[2K");
    EXPECT_EQ(render(e).find('\x1B'), std::string::npos);
    EXPECT_EQ(render(e).find('\x07'), std::string::npos);
}

TEST(Render, ShowsDetailAndFurtherFaults) {
    Error e(ErrorCode::build_failed, "RUN exited 1");
    e.set_detail("make: *** no rule");
    e.add_further(Error(ErrorCode::recipe, "second"));
    EXPECT_EQ(render(e), "error: RUN exited 1\nmake: *** no rule\nerror: second\n");
}

TEST(ErrnoError, TellsTheReaderHowToReact) {
    EXPECT_EQ(errno_error(ENOENT, "open", "/x").code(), ErrorCode::not_found);
    EXPECT_EQ(errno_error(EACCES, "open", "/x").code(), ErrorCode::denied);
    EXPECT_EQ(errno_error(EROFS, "open", "/x").code(), ErrorCode::denied);
    EXPECT_EQ(errno_error(EEXIST, "make", "/x").code(), ErrorCode::conflict);
    const Error full = errno_error(ENOSPC, "write", "/x");
    EXPECT_EQ(full.code(), ErrorCode::unavailable);
    EXPECT_NE(full.hint().find("disk is full"), std::string::npos);
    EXPECT_STREQ(errno_error(ENOENT, "open", "/x").what(), "open /x: No such file or directory");
}

}  // namespace
}  // namespace mkimg
