// Each folder of tests/data/recipes/good holds a recipe and the document that it means, each of
// tests/data/recipes/bad one and the report that it gets.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "parser/instruction.h"
#include "parser/json.h"

namespace mkimg::parser {
namespace {

const std::filesystem::path data = std::filesystem::path(MKIMG_TEST_DATA) / "recipes";

std::string content(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    EXPECT_TRUE(in) << file;
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::vector<std::string> cases(const char* kind) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(data / kind)) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string report(const std::vector<Error>& errors) {
    std::string text;
    for (const Error& error : errors) {
        EXPECT_EQ(error.code(), ErrorCode::recipe);
        text += render(error);
    }
    return text;
}

class Good : public testing::TestWithParam<std::string> {};

TEST_P(Good, HasItsDocument) {
    const ParseResult result = parse_recipe(content(data / "good" / GetParam() / "Dockerfile"), "Dockerfile");
    EXPECT_EQ(report(result.errors), "");
    EXPECT_EQ(to_json(result.recipe), content(data / "good" / GetParam() / "expected.json"));
}

INSTANTIATE_TEST_SUITE_P(Recipes, Good, testing::ValuesIn(cases("good")), test_name);

class Bad : public testing::TestWithParam<std::string> {};

TEST_P(Bad, HasItsReport) {
    const ParseResult result = parse_recipe(content(data / "bad" / GetParam() / "Dockerfile"), "Dockerfile");
    EXPECT_EQ(report(result.errors), content(data / "bad" / GetParam() / "expected.txt"));
}

INSTANTIATE_TEST_SUITE_P(Recipes, Bad, testing::ValuesIn(cases("bad")), test_name);

}  // namespace
}  // namespace mkimg::parser
