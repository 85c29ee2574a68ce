#include "builder/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::builder {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PlanTest : public testing::Test {
  protected:
    Plan plan(const std::string& text, const std::string& target = {}) {
        parsed_ = parser::parse_recipe(text, "Dockerfile");
        for (const Error& error : parsed_.errors) ADD_FAILURE() << render(error);
        args_ = std::make_unique<BuildArgs>(request_);
        return make_plan({parsed_.recipe, target, oci::Platform::host(), *args_, [this](const std::string& reference) {
                              asked_.push_back(reference);
                              if (reference == "missing") throw Error(ErrorCode::not_found, "no image " + reference);
                              ResolvedImage image{oci::digest_of(reference), {}, std::nullopt};
                              if (reference == "parent") image.config.on_build = {"RUN first", "COPY --from=lib /a /b"};
                              return image;
                          }});
    }

    Error fault(const std::string& text, const std::string& target = {}) {
        try {
            plan(text, target);
        } catch (const Error& e) {
            return e;
        }
        ADD_FAILURE() << "no fault in " << text;
        return Error(ErrorCode::internal, "");
    }

    static std::vector<std::string> labels(const Plan& plan) {
        std::vector<std::string> out;
        for (const PlannedStage& stage : plan.stages) out.push_back(stage.label);
        return out;
    }

    BuildRequest request_;
    std::unique_ptr<BuildArgs> args_;
    parser::ParseResult parsed_;
    std::vector<std::string> asked_;
};

TEST_F(PlanTest, LeavesOutWhatTheTargetDoesNotNeed) {
    const Plan p = plan("FROM a AS one\nFROM b AS two\nFROM c\nCOPY --from=one /x /x\n");
    EXPECT_THAT(labels(p), ElementsAre("one", "2"));
    EXPECT_THAT(asked_, ElementsAre("c", "a"));
    EXPECT_EQ(p.stages[1].steps[0].origin->stage, 0U);
}

TEST_F(PlanTest, TargetByNameNumberAndAnyCase) {
    const std::string recipe = "FROM a AS one\nFROM one AS two\nFROM b AS three\n";
    EXPECT_THAT(labels(plan(recipe, "TWO")), ElementsAre("one", "two"));
    EXPECT_THAT(labels(plan(recipe, "0")), ElementsAre("one"));
    EXPECT_THAT(labels(plan(recipe)), ElementsAre("three"));
    const Error unknown = fault(recipe, "thre");
    EXPECT_EQ(unknown.code(), ErrorCode::usage);
    EXPECT_THAT(unknown.hint(), HasSubstr("did you mean \"three\"?"));
}

TEST_F(PlanTest, ScratchStageAndImageBases) {
    const Plan p = plan("FROM scratch AS s\nFROM s AS t\nFROM t\n");
    EXPECT_FALSE(p.stages[0].base_stage || p.stages[0].base_image);
    EXPECT_EQ(p.stages[1].base_stage, 0U);
    EXPECT_EQ(p.stages[2].base_stage, 1U);
    EXPECT_TRUE(asked_.empty());
}

TEST_F(PlanTest, FromIsExpandedWithGlobalArgs) {
    request_.build_args = {{"TAG", "given"}};
    plan("ARG TAG=1\nARG NAME=app\nFROM ${NAME}:${TAG}-$TARGETARCH\n");
    EXPECT_THAT(asked_, ElementsAre("app:given-" + oci::Platform::host().architecture));
}

TEST_F(PlanTest, ABlankBaseIsAnError) {
    const Error e = fault("ARG BASE\nFROM $BASE\n");
    EXPECT_EQ(e.code(), ErrorCode::recipe);
    EXPECT_EQ(e.where()->line, 2U);
}

TEST_F(PlanTest, TriggersComeFirstAndMakeEdges) {
    const Plan p = plan("FROM scratch AS lib\nFROM parent\nRUN second\n");
    ASSERT_EQ(p.stages[1].steps.size(), 3U);
    EXPECT_EQ(p.stages[1].steps[0].instruction->arguments[0], "first");
    EXPECT_EQ(p.stages[1].steps[1].origin->stage, 0U);
    EXPECT_EQ(p.stages[1].steps[2].instruction->arguments[0], "second");
}

TEST_F(PlanTest, TriggersOfAStage) {
    const Plan p = plan("FROM scratch AS lib\nONBUILD RUN here\nFROM lib AS child\nFROM child\n");
    EXPECT_EQ(p.stages[1].steps.size(), 1U);
    EXPECT_EQ(p.stages[2].steps.size(), 0U) << "triggers are not inherited twice";
}

TEST_F(PlanTest, AnImageUsedTwiceIsResolvedOnceForCopies) {
    plan("FROM scratch\nCOPY --from=tools /a /a\nCOPY --from=tools /b /b\n");
    EXPECT_THAT(asked_, ElementsAre("tools"));
}

TEST_F(PlanTest, AllFaultsAtOnceInTheirOrder) {
    const Error e =
        fault("FROM scratch\nRUN --mount=type=cache,target=/c x\nCOPY --from=missing /a /b\nADD https://h/x /\n");
    EXPECT_EQ(e.where()->line, 2U);
    EXPECT_EQ(e.code(), ErrorCode::unsupported);
    EXPECT_THAT(e.message(), HasSubstr("not supported yet"));
    ASSERT_EQ(e.further().size(), 2U);
    EXPECT_EQ(e.further()[0].where()->line, 3U);
    EXPECT_EQ(e.further()[1].where()->line, 4U);
}

TEST_F(PlanTest, UnusedStagesMayHoldWhatIsNotSupported) {
    EXPECT_NO_THROW(plan("FROM scratch AS unused\nRUN --mount=type=cache,target=/c x\nFROM scratch\n"));
}

TEST_F(PlanTest, FromOfLaterOwnOrUnknownStageNumbers) {
    EXPECT_THAT(fault("FROM scratch AS a\nCOPY --from=a /x /x\n").message(), HasSubstr("the stage it stands in"));
    EXPECT_THAT(fault("FROM scratch\nCOPY --from=3 /x /x\n").message(), HasSubstr("no earlier stage"));
}

TEST_F(PlanTest, ForeignPlatforms) {
    EXPECT_EQ(fault("FROM --platform=linux/s390x scratch\n").code(), ErrorCode::unsupported);
    EXPECT_NO_THROW(plan("FROM --platform=$BUILDPLATFORM scratch\n"));
}

}  // namespace
}  // namespace mkimg::builder
