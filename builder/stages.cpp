#include "builder/stages.h"

#include <chrono>
#include <span>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/config_step.h"
#include "builder/scheduler.h"

namespace mkimg::builder {
namespace {

using parser::Keyword;

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string json_list(std::span<const std::string> words) {
    std::string out = "[";
    for (const std::string& word : words) {
        if (out.size() > 1) out += ",";
        out += "\"";
        for (const char c : word) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += "\"";
    }
    return out + "]";
}

// A stage while its steps run. Its steps follow one another, so its state needs no lock; the
// scheduler's order makes it visible to the stages that need it.
struct StageRun {
    const PlannedStage* planned = nullptr;
    StageState state;
    unsigned ran = 0;
    unsigned cached = 0;
};

class Runner {
  public:
    Runner(const Plan& plan, const StepServices& services, BuildArgs& args,
           const std::map<std::string, std::string, std::less<>>& predefined)
        : plan_(plan), services_(services), args_(args), predefined_(predefined), stages_(plan.stages.size()) {}

    BuildResult run(unsigned jobs) {
        std::vector<Vertex> graph;
        std::vector<std::size_t> last(plan_.stages.size());  // the vertex that ends each stage
        unsigned id = 0;
        for (std::size_t s = 0; s < plan_.stages.size(); ++s) {
            const PlannedStage& planned = plan_.stages[s];
            stages_[s].planned = &planned;
            Vertex begin;
            begin.cost = 0;
            if (planned.base_stage) begin.needs.push_back(last[*planned.base_stage]);
            begin.work = [this, s] { begin_stage(s); };
            graph.push_back(std::move(begin));
            for (std::size_t i = 0; i < planned.steps.size(); ++i) {
                const PlannedStep& step = planned.steps[i];
                Vertex vertex;
                vertex.needs.push_back(graph.size() - 1);
                if (step.origin && step.origin->stage) vertex.needs.push_back(last[*step.origin->stage]);
                vertex.cost = is_config_only(step.instruction->keyword) ? 1 : 100;
                StepInfo info{++id, planned.label, static_cast<unsigned>(i + 1),
                              static_cast<unsigned>(planned.steps.size()), summary(*step.instruction)};
                vertex.work = [this, s, &step, info = std::move(info)] { run_one(s, step, info); };
                graph.push_back(std::move(vertex));
            }
            last[s] = graph.size() - 1;
        }
        run_graph(graph, jobs, services_.cancel);
        BuildResult result;
        for (const StageRun& stage : stages_) {
            result.ran += stage.ran;
            result.cached += stage.cached;
        }
        result.state = std::move(stages_.back().state);
        return result;
    }

  private:
    void begin_stage(std::size_t index) {
        const PlannedStage& planned = *stages_[index].planned;
        StageState& state = stages_[index].state;
        if (planned.base_stage) {
            state = stages_[*planned.base_stage].state;
        } else if (planned.base_image) {
            state.config = planned.base_image->config;
            state.chain = planned.base_image->chain;
            state.first_own_history = state.config.history.size();
        } else {
            state.config.platform = oci::Platform::host();
            state.config.set_env("PATH", default_path);
        }
        state.cmd_is_own = false;
        state.config.on_build.clear();  // they run now, and are not inherited twice
    }

    void run_one(std::size_t index, const PlannedStep& step, const StepInfo& info) {
        StageRun& stage = stages_[index];
        const auto start = std::chrono::steady_clock::now();
        const parser::Instruction& line = *step.instruction;
        try {
            if (is_config_only(line.keyword)) {
                apply_config_step(line, stage.state, {services_.escape, args_, plan_.global_args, predefined_});
                add_history(stage.state, line, std::nullopt);
                services_.progress.finished(info, Outcome::config_only, 0);
                return;
            }
            services_.progress.started(info);
            const StepOutcome outcome = execute(stage, step, info);
            (outcome.cached ? stage.cached : stage.ran) += 1;
            if (outcome.layer) {
                stage.state.chain = outcome.layer->chain;
                stage.state.config.diff_ids.push_back(outcome.layer->diff);
            }
            add_history(stage.state, line, outcome);
            services_.progress.finished(info, outcome.cached ? Outcome::cached : Outcome::ran, seconds_since(start));
        } catch (Error& e) {
            if (e.code() != ErrorCode::cancelled) {
                services_.progress.failed(info, seconds_since(start));
                if (!e.where()) e.set_where(line.where);
            }
            throw;
        }
    }

    StepOutcome execute(StageRun& stage, const PlannedStep& step, const StepInfo& info) {
        StageState& state = stage.state;
        const parser::Instruction& line = *step.instruction;
        switch (line.keyword) {
            case Keyword::run: return run_step(line, info, state, services_);
            case Keyword::copy:
            case Keyword::add: {
                if (!step.origin) return copy_step(line, nullptr, state, services_);
                CopySourceLayers source;
                source.chain =
                    step.origin->stage ? stages_[*step.origin->stage].state.chain : step.origin->image->chain;
                return copy_step(line, &source, state, services_);
            }
            default: {
                const std::string given = expand_word(line.arguments.at(0), state, services_.escape);
                if (given.empty()) throw Error(ErrorCode::recipe, "WORKDIR is empty after expansion");
                const std::string before = state.config.working_dir.empty() ? "/" : state.config.working_dir;
                const std::string directory = join_path(before, given);
                StepOutcome outcome = workdir_step(directory, state, services_);
                state.config.working_dir = directory;
                return outcome;
            }
        }
    }

    void add_history(StageState& state, const parser::Instruction& line, const std::optional<StepOutcome>& outcome) {
        oci::History entry;
        entry.created_by = summary(line);
        entry.empty_layer = !outcome || !outcome->layer;
        if (outcome && outcome->layer) entry.created = outcome->created;
        state.config.history.push_back(std::move(entry));
    }

    const Plan& plan_;
    const StepServices& services_;
    BuildArgs& args_;
    const std::map<std::string, std::string, std::less<>>& predefined_;
    std::vector<StageRun> stages_;
};

}  // namespace

BuildResult run_stages(const Plan& plan, const StepServices& services, BuildArgs& args,
                       const std::map<std::string, std::string, std::less<>>& predefined, unsigned jobs) {
    return Runner(plan, services, args, predefined).run(jobs);
}

std::string summary(const parser::Instruction& line) {
    std::string text(parser::name_of(line.keyword));
    for (const parser::Flag& flag : line.flags) {
        text += " --" + flag.name;
        if (flag.value) text += "=" + *flag.value;
    }
    if (line.keyword == Keyword::healthcheck && line.form == parser::Form::exec && !line.arguments.empty()) {
        return text + " " + line.arguments[0] + " " + json_list(std::span(line.arguments).subspan(1));
    }
    if (line.form == parser::Form::exec) return text + " " + json_list(line.arguments);
    if (!line.pairs.empty()) {
        for (const parser::Pair& pair : line.pairs) {
            text += " " + pair.name;
            if (pair.value) text += "=" + *pair.value;
        }
        return text;
    }
    for (const std::string& argument : line.arguments) text += " " + argument;
    if (line.keyword == Keyword::run && !line.heredocs.empty()) {
        text += " (" + std::string(trim(line.heredocs[0].content.substr(0, 60))) + "…)";
    }
    for (char& c : text) {
        if (c == '\n' || c == '\t') c = ' ';
    }
    return text;
}

}  // namespace mkimg::builder
