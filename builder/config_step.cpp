#include "builder/config_step.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "builder/config_values.h"
#include "parser/expand.h"

namespace mkimg::builder {
namespace {

using parser::Form;
using parser::Instruction;
using parser::Keyword;

Error recipe_error(std::string message, std::string hint = {}) {
    return Error(ErrorCode::recipe, std::move(message), std::move(hint));
}

std::vector<std::string> expand_all(const Instruction& line, const StageState& state, char escape) {
    std::vector<std::string> words;
    parser::ExpandOptions options;
    options.escape = escape;
    for (const std::string& argument : line.arguments) {
        if (line.form == Form::exec) {
            words.push_back(expand_word(argument, state, escape));
            continue;
        }
        for (std::string& word : parser::expand_words(
                 argument, [&](std::string_view name) { return state.variable(name); }, options)) {
            words.push_back(std::move(word));
        }
    }
    return words;
}

void insert_sorted(std::vector<std::string>& set, std::string value) {
    const auto at = std::lower_bound(set.begin(), set.end(), value);
    if (at == set.end() || *at != value) set.insert(at, std::move(value));
}

// Shell form runs in the SHELL of this point; exec form stands as it is.
std::vector<std::string> command_line(const Instruction& line, const oci::ImageConfig& config) {
    if (line.form == Form::exec) return line.arguments;
    std::vector<std::string> argv = shell_of(config);
    argv.push_back(line.arguments.empty() ? std::string() : line.arguments[0]);
    return argv;
}

void apply_arg(const Instruction& line, StageState& state, const ConfigContext& context) {
    ArgScope declared = state.args;  // a line's own assignments don't see each other
    for (const parser::Pair& pair : line.pairs) {
        context.args.mark_used(pair.name);
        auto value = context.args.value(pair.name);
        if (!value && pair.value) value = expand_word(*pair.value, state, context.escape);
        if (!value) {
            if (const Arg* global = context.global_args.find(pair.name)) value = global->value;
        }
        if (!value) {
            const auto found = context.predefined.find(pair.name);
            if (found != context.predefined.end()) value = found->second;
        }
        declared.declare(pair.name, std::move(value));
    }
    state.args = std::move(declared);
}

void apply_env(const Instruction& line, StageState& state, char escape) {
    std::vector<std::pair<std::string, std::string>> values;
    for (const parser::Pair& pair : line.pairs) {
        std::string name = expand_word(pair.name, state, escape);
        if (name.empty()) throw recipe_error("ENV names can not be blank");
        values.emplace_back(std::move(name), expand_word(pair.value.value_or(""), state, escape));
    }
    for (const auto& [name, value] : values) state.config.set_env(name, value);
}

void apply_label(const Instruction& line, StageState& state, char escape) {
    std::vector<std::pair<std::string, std::string>> values;
    for (const parser::Pair& pair : line.pairs) {
        std::string name = expand_word(pair.name, state, escape);
        if (name.empty()) throw recipe_error("LABEL names can not be blank");
        values.emplace_back(std::move(name), expand_word(pair.value.value_or(""), state, escape));
    }
    for (auto& [name, value] : values) state.config.labels[name] = value;
}

void apply_healthcheck(const Instruction& line, StageState& state) {
    oci::Healthcheck check;
    if (line.arguments.at(0) == "NONE") {
        check.test = {"NONE"};
        state.config.healthcheck = check;
        return;
    }
    const auto duration = [&](std::string_view flag) -> std::int64_t {
        const parser::Flag* given = line.flag(flag);
        if (given == nullptr) return 0;
        const std::int64_t value = parse_duration(given->value.value_or(""));
        if (value < 0 || (value > 0 && value < 1'000'000)) {
            throw recipe_error("HEALTHCHECK --" + std::string(flag) + "=" + given->value.value_or("") +
                               " cannot be less than 1ms");
        }
        return value;
    };
    check.interval = duration("interval");
    check.timeout = duration("timeout");
    check.start_period = duration("start-period");
    check.start_interval = duration("start-interval");
    if (const parser::Flag* retries = line.flag("retries")) {
        const auto count = parse_u64(retries->value.value_or(""));
        if (!count || *count > 1'000'000) {
            throw recipe_error("HEALTHCHECK --retries=" + retries->value.value_or("") + " is not a count",
                               "use a whole number from 0 upwards");
        }
        check.retries = static_cast<std::int64_t>(*count);
    }
    if (line.form == Form::exec) {
        check.test = {"CMD"};
        check.test.insert(check.test.end(), line.arguments.begin() + 1, line.arguments.end());
    } else {
        check.test = {"CMD-SHELL", line.arguments.size() > 1 ? line.arguments[1] : ""};
    }
    state.config.healthcheck = check;
}

void apply_user(const Instruction& line, StageState& state, char escape) {
    std::string user = expand_word(line.arguments.at(0), state, escape);
    if (user.empty()) throw recipe_error("USER is empty after expansion");
    check_user_number(user);
    state.config.user = std::move(user);
}

}  // namespace

bool is_config_only(Keyword keyword) {
    switch (keyword) {
        case Keyword::from:
        case Keyword::run:
        case Keyword::copy:
        case Keyword::add:
        case Keyword::workdir: return false;
        default: return true;
    }
}

std::string expand_word(std::string_view word, const StageState& state, char escape) {
    parser::ExpandOptions options;
    options.escape = escape;
    return parser::expand(
        word, [&](std::string_view name) { return state.variable(name); }, options);
}

void apply_config_step(const Instruction& line, StageState& state, const ConfigContext& context) {
    oci::ImageConfig& config = state.config;
    const char escape = context.escape;
    switch (line.keyword) {
        case Keyword::arg: apply_arg(line, state, context); break;
        case Keyword::env: apply_env(line, state, escape); break;
        case Keyword::label: apply_label(line, state, escape); break;
        case Keyword::maintainer: config.author = line.arguments.at(0); break;
        case Keyword::user: apply_user(line, state, escape); break;
        case Keyword::cmd:
            config.cmd = command_line(line, config);
            if (line.form == Form::exec && line.arguments.empty()) config.cmd = std::vector<std::string>();
            state.cmd_is_own = true;
            break;
        case Keyword::entrypoint:
            config.entrypoint = command_line(line, config);
            // An inherited CMD holds arguments for the inherited entry point.
            if (!state.cmd_is_own) config.cmd = std::nullopt;
            break;
        case Keyword::expose:
            for (const std::string& word : expand_all(line, state, escape)) {
                for (std::string& port : expand_ports(word)) insert_sorted(config.exposed_ports, std::move(port));
            }
            break;
        case Keyword::volume:
            for (std::string& word : expand_all(line, state, escape)) {
                if (word.empty()) throw recipe_error("VOLUME specified can not be an empty string");
                insert_sorted(config.volumes, std::move(word));
            }
            break;
        case Keyword::stopsignal:
            config.stop_signal = expand_word(line.arguments.at(0), state, escape);
            check_signal(config.stop_signal);
            break;
        case Keyword::shell: config.shell = line.arguments; break;
        case Keyword::healthcheck: apply_healthcheck(line, state); break;
        case Keyword::onbuild: config.on_build.push_back(line.arguments.at(0)); break;
        default: throw Error(ErrorCode::internal, "not a config-only instruction");
    }
}

}  // namespace mkimg::builder
