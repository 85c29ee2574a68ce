#include "builder/plan.h"

#include <algorithm>
#include <map>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "builder/unsupported.h"
#include "parser/expand.h"

namespace mkimg::builder {
namespace {

class Planner {
  public:
    explicit Planner(const PlanInput& input)
        : input_(input), stages_(input.recipe.stages), position_(stages_.size()), visiting_(stages_.size()) {}

    Plan run() {
        const std::size_t target = find_target();
        predefined_ = platform_args(input_.platform, oci::Platform::host(), stages_[target].name);
        declare_global_args();
        visit(target);
        throw_faults();
        return std::move(plan_);
    }

  private:
    std::optional<std::size_t> stage_named(std::string_view name, std::size_t before) const {
        const std::string lower = to_lower(name);
        // The last of equal names counts, as it hides the earlier ones.
        for (std::size_t i = before; i-- > 0;) {
            if (!stages_[i].name.empty() && to_lower(stages_[i].name) == lower) return i;
        }
        const auto number = parse_u64(name);
        if (number && *number < before) return static_cast<std::size_t>(*number);
        return std::nullopt;
    }

    std::size_t find_target() const {
        if (input_.target.empty()) return stages_.size() - 1;
        if (const auto found = stage_named(input_.target, stages_.size())) return *found;
        std::vector<std::string> names;
        for (const auto& stage : stages_) {
            if (!stage.name.empty()) names.push_back(stage.name);
        }
        std::string hint = names.empty() ? "no stage of the recipe has a name; use a number from 0 to " +
                                               std::to_string(stages_.size() - 1)
                                         : "the stages are: " + join(names, ", ");
        if (const auto near = nearest(input_.target, names)) hint = "did you mean \"" + *near + "\"? " + hint;
        throw Error(ErrorCode::usage, "target stage \"" + input_.target + "\" could not be found", hint);
    }

    void declare_global_args() {
        for (const parser::Instruction& line : input_.recipe.global_args) {
            guarded(line.where, [&] {
                for (const parser::Pair& pair : line.pairs) {
                    input_.args.mark_used(pair.name);
                    auto value = input_.args.value(pair.name);
                    if (!value && pair.value) value = expand(*pair.value, line.where);
                    if (!value) {
                        const auto found = predefined_.find(pair.name);
                        if (found != predefined_.end()) value = found->second;
                    }
                    plan_.global_args.declare(pair.name, std::move(value));
                }
            });
        }
    }

    std::string expand(const std::string& word, const SourceRange&) const {
        parser::ExpandOptions options;
        options.escape = input_.recipe.directives.escape;
        return parser::expand(
            word,
            [&](std::string_view name) -> std::optional<std::string> {
                if (const Arg* arg = plan_.global_args.find(name)) return arg->value;
                const auto found = predefined_.find(name);
                if (found != predefined_.end()) return found->second;
                return std::nullopt;
            },
            options);
    }

    // Runs `work`; an Error is kept with the place, so that all faults show at once.
    template <typename Work>
    void guarded(const SourceRange& where, Work work) {
        try {
            work();
        } catch (Error& e) {
            if (e.code() == ErrorCode::cancelled) throw;
            if (!e.where()) e.set_where(where);
            faults_.push_back(e);
        }
    }

    void visit(std::size_t index) {
        if (position_[index] || visiting_[index]) return;
        visiting_[index] = true;
        const parser::Stage& stage = stages_[index];
        PlannedStage planned;
        planned.stage = &stage;
        planned.label = stage.name.empty() ? std::to_string(index) : stage.name;
        guarded(stage.from.where, [&] { resolve_base(index, planned); });
        for (const parser::Instruction& trigger : triggers_of(planned)) add_step(trigger, index, planned);
        for (const parser::Instruction& line : stage.instructions) add_step(line, index, planned);
        position_[index] = plan_.stages.size();
        plan_.stages.push_back(std::move(planned));
    }

    void resolve_base(std::size_t index, PlannedStage& planned) {
        const parser::Stage& stage = stages_[index];
        refuse_foreign_platform(stage);
        const std::string base = expand(stage.base, stage.from.where);
        if (base.empty()) {
            throw Error(ErrorCode::recipe, "base name (" + stage.base + ") should not be blank",
                        "give the ARG a default before the first FROM, or pass it with --build-arg");
        }
        if (const auto earlier = stage_named(base, index)) {
            visit(*earlier);
            planned.base_stage = position_[*earlier];
        } else if (base != "scratch") {
            planned.base_image = input_.resolve(base);
        }
    }

    void refuse_foreign_platform(const parser::Stage& stage) const {
        const parser::Flag* flag = stage.from.flag("platform");
        if (flag == nullptr) return;
        const std::string wanted = expand(flag->value.value_or(""), flag->where);
        if (wanted.empty()) {
            throw Error(ErrorCode::recipe, "FROM --platform is empty after expansion").set_where(flag->where);
        }
        if (!(oci::Platform::parse(wanted) == oci::Platform::host())) {
            throw Error(ErrorCode::unsupported, "--platform=" + wanted + ": building for another platform than " +
                                                    oci::Platform::host().str() + " is not supported yet")
                .set_where(flag->where);
        }
    }

    // The triggers that a base left for its children, parsed; they live in plan_.triggers.
    std::vector<std::reference_wrapper<const parser::Instruction>> triggers_of(const PlannedStage& planned) {
        std::vector<std::string> lines;
        std::string origin;
        if (planned.base_image) {
            lines = planned.base_image->config.on_build;
            origin = "ONBUILD of " + planned.stage->base;
        } else if (planned.base_stage) {
            const PlannedStage& base = plan_.stages[*planned.base_stage];
            for (const parser::Instruction& line : base.stage->instructions) {
                if (line.keyword == parser::Keyword::onbuild) lines.push_back(line.arguments.at(0));
            }
            origin = "ONBUILD of stage " + base.label;
        }
        std::vector<std::reference_wrapper<const parser::Instruction>> out;
        for (const std::string& line : lines) {
            guarded(planned.stage->from.where, [&] {
                plan_.triggers.push_back(parser::parse_trigger(line, origin));
                out.emplace_back(plan_.triggers.back());
            });
        }
        return out;
    }

    void add_step(const parser::Instruction& line, std::size_t index, PlannedStage& planned) {
        PlannedStep step;
        step.instruction = &line;
        for (Error& fault : unsupported_features(line)) faults_.push_back(std::move(fault));
        const parser::Flag* from = line.keyword == parser::Keyword::copy ? line.flag("from") : nullptr;
        if (from != nullptr)
            guarded(from->where, [&] { step.origin = resolve_origin(from->value.value_or(""), index); });
        planned.steps.push_back(std::move(step));
    }

    CopyOrigin resolve_origin(const std::string& name, std::size_t index) {
        if (name.find('$') != std::string::npos) {
            throw Error(ErrorCode::recipe, "--from=" + name + ": variables are not expanded here",
                        "give the image a stage of its own (FROM " + name + " AS source) and name that stage");
        }
        if (const auto earlier = stage_named(name, index)) {
            visit(*earlier);
            return {position_[*earlier], std::nullopt};
        }
        if (!stages_[index].name.empty() && to_lower(stages_[index].name) == to_lower(name)) {
            throw Error(ErrorCode::recipe, "--from=" + name + " names the stage it stands in",
                        "only earlier stages can be copied from");
        }
        if (parse_u64(name)) {
            throw Error(ErrorCode::recipe, "--from=" + name + ": there is no earlier stage of that number");
        }
        const auto found = images_.find(name);
        if (found != images_.end()) return {std::nullopt, found->second};
        ResolvedImage image = input_.resolve(name);
        images_.emplace(name, image);
        return {std::nullopt, std::move(image)};
    }

    void throw_faults() {
        if (faults_.empty()) return;
        std::stable_sort(faults_.begin(), faults_.end(), [](const Error& a, const Error& b) {
            return (a.where() ? a.where()->line : 0) < (b.where() ? b.where()->line : 0);
        });
        Error first = faults_.front();
        for (Error& fault : std::span(faults_).subspan(1)) first.add_further(std::move(fault));
        throw first;
    }

    const PlanInput& input_;
    const std::vector<parser::Stage>& stages_;
    std::map<std::string, std::string, std::less<>> predefined_;
    Plan plan_;
    std::vector<std::optional<std::size_t>> position_;  // by index in the recipe
    std::vector<bool> visiting_;
    std::map<std::string, ResolvedImage> images_;
    std::vector<Error> faults_;
};

}  // namespace

Plan make_plan(const PlanInput& input) {
    return Planner(input).run();
}

}  // namespace mkimg::builder
