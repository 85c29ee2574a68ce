#include "parser/instruction_reader.h"

#include "base/text.h"
#include "parser/expand.h"
#include "parser/flags.h"
#include "parser/grammar_match.h"
#include "parser/heredoc.h"
#include "parser/keyword.h"

namespace mkimg::parser {
namespace {

// Past this many words an instruction has no ranges for them: a line of a million words is no one's.
constexpr std::size_t max_ranges = 1000;

std::string name(const Instruction& instruction) {
    return std::string(name_of(instruction.keyword));
}

// A word in a message; a blob that strayed into a recipe is not repeated whole.
std::string brief(std::string_view word) {
    constexpr std::size_t most = 80;
    return word.size() <= most ? std::string(word) : std::string(word.substr(0, most)) + "...";
}

// Where to point at when arguments are at fault that may be missing.
Span arguments_or_keyword(const Header& header) {
    return header.arguments.text.empty() ? header.keyword : header.arguments;
}

}  // namespace

std::optional<Instruction> InstructionReader::read(LogicalLine line) {
    line_ = std::move(line);
    auto instruction = read_span({line_.text, 0});
    if (!instruction) return std::nullopt;
    const Place begin = line_.place(0);
    instruction->original = source_.text(begin, line_.last_line);
    instruction->heredocs = std::move(line_.heredocs);
    instruction->where.end_line = line_.last_line;
    if (line_.last_line != begin.line) {
        instruction->where.end_column = static_cast<std::uint32_t>(source_.line(line_.last_line).size()) + 1;
    }
    return instruction;
}

std::optional<Instruction> InstructionReader::read_trigger(LogicalLine line) {
    line_ = line;
    check_trigger({line_.text, 0});
    return faults_.empty() ? read(std::move(line)) : std::nullopt;
}

std::optional<Instruction> InstructionReader::read_span(Span text) {
    const Header header = parse_header(text, escape_);
    const auto keyword = keyword_of(header.keyword.text);
    if (!keyword) {
        const auto near = nearest_keyword(header.keyword.text);
        report(header.keyword, "unknown instruction: " + brief(header.keyword.text),
               near ? "did you mean " + *near + "?"
                    : std::string("where this belongs to the line above, end that one with ") + escape_);
        return std::nullopt;
    }
    Instruction instruction;
    instruction.keyword = *keyword;
    instruction.where = range(header.keyword);
    read_flags(header, instruction);
    read_arguments(header, instruction);
    if (instruction.argument_ranges.size() != instruction.arguments.size()) instruction.argument_ranges.clear();
    return instruction;
}

void InstructionReader::read_flags(const Header& header, Instruction& instruction) {
    check_flags(instruction.keyword, header.flags, [&](Span where, std::string message, std::string hint) {
        report(where, std::move(message), std::move(hint));
    });
    for (const HeaderFlag& flag : header.flags) {
        const bool expands = flag.name == "chown" || flag.name == "chmod" || flag.name == "platform";
        if (expands && flag.value) {
            if (const auto fault = word_fault(*flag.value, escape_)) report(flag.where, fault->message, fault->hint);
        }
        instruction.flags.push_back({flag.name, flag.value, range(flag.where)});
    }
}

void InstructionReader::read_arguments(const Header& header, Instruction& instruction) {
    switch (instruction.keyword) {
        case Keyword::from: return read_from(header, instruction);
        case Keyword::run:
        case Keyword::cmd:
        case Keyword::entrypoint: return read_command(header, instruction);
        case Keyword::shell: return read_shell(header, instruction);
        case Keyword::copy:
        case Keyword::add: return read_paths(header, instruction);
        case Keyword::volume:
        case Keyword::expose: return read_words(header, instruction);
        case Keyword::maintainer:
        case Keyword::user:
        case Keyword::workdir:
        case Keyword::stopsignal: return read_text(header, instruction);
        case Keyword::env:
        case Keyword::label: return read_assignments(header, instruction);
        case Keyword::arg: return read_arg(header, instruction);
        case Keyword::healthcheck: return read_healthcheck(header, instruction);
        case Keyword::onbuild: return read_onbuild(header, instruction);
    }
}

void InstructionReader::read_from(const Header& header, Instruction& instruction) {
    const auto parts = match_from(header.arguments);
    if (!parts) {
        report(arguments_or_keyword(header), "FROM requires either one or three arguments",
               "write FROM IMAGE, or FROM IMAGE AS NAME");
        return;
    }
    take_argument(parts->base, instruction);
    check_word(parts->base);
    if (!parts->name) return;
    take_argument(*parts->as, instruction);
    take_argument(*parts->name, instruction);
    require(is_stage_name(parts->name->text), *parts->name,
            "invalid name for build stage: '" + brief(parts->name->text) +
                "', name can't start with a number or contain symbols",
            "begin with a letter; letters, digits, - _ and . may follow");
}

void InstructionReader::read_command(const Header& header, Instruction& instruction) {
    if (take_exec_form(header.arguments, instruction)) return;
    // Without a command the shell is run with an empty one.
    instruction.form = Form::shell;
    take_argument(match_shell_line(header.arguments).value_or(header.arguments), instruction);
}

void InstructionReader::read_shell(const Header& header, Instruction& instruction) {
    const bool exec = take_exec_form(header.arguments, instruction);
    require(exec, arguments_or_keyword(header), "SHELL requires the arguments to be in JSON form",
            R"(write SHELL ["executable", "parameter"])");
    require(!exec || !instruction.arguments.empty(), header.arguments, "SHELL requires at least one argument",
            R"(write SHELL ["executable", "parameter"])");
}

void InstructionReader::read_paths(const Header& header, Instruction& instruction) {
    if (!take_exec_form(header.arguments, instruction)) {
        for (const Span word : match_words(header.arguments)) {
            take_argument(word, instruction);
            if (!heredoc_marker(word.text, escape_)) check_word(word);
        }
    }
    if (instruction.arguments.size() < 2) {
        report(arguments_or_keyword(header),
               name(instruction) + " requires at least two arguments" +
                   (instruction.arguments.empty() ? "" : ", but only one was provided: the destination is missing"),
               "write " + name(instruction) + " SOURCE DESTINATION");
    } else if (instruction.form == Form::none && heredoc_marker(instruction.arguments.back(), escape_)) {
        const std::size_t begin = header.arguments.text.size() - instruction.arguments.back().size();
        report(header.arguments.sub(header.arguments.text.substr(begin)),
               name(instruction) + " cannot accept a heredoc as a destination", "name the file to write after it");
    }
}

void InstructionReader::read_words(const Header& header, Instruction& instruction) {
    const bool exec = instruction.keyword == Keyword::volume && take_exec_form(header.arguments, instruction);
    if (!exec) {
        for (const Span word : match_words(header.arguments)) {
            take_argument(word, instruction);
            check_word(word);
        }
    }
    require(!instruction.arguments.empty(), arguments_or_keyword(header),
            name(instruction) + " requires at least one argument");
    if (instruction.keyword != Keyword::volume) return;
    for (const std::string& path : instruction.arguments) {
        require(!trim(path).empty(), header.arguments, "VOLUME specified can not be an empty string",
                "name a directory");
    }
}

void InstructionReader::read_text(const Header& header, Instruction& instruction) {
    const auto text = match_text(header.arguments);
    if (!text) {
        report(header.keyword, name(instruction) + " requires exactly one argument");
        return;
    }
    take_argument(*text, instruction);
    if (instruction.keyword != Keyword::maintainer) check_word(*text);
}

void InstructionReader::take_pair(Span word, Instruction& instruction) {
    take_argument(word, instruction);
    const std::size_t equals = word.text.find('=');
    const Span key = word.sub(word.text.substr(0, equals));
    Pair pair{std::string(key.text), std::nullopt};
    require(!key.text.empty(), word, name(instruction) + " names can not be blank", "write NAME=value");
    check_word(key);
    if (equals != std::string_view::npos) {
        const Span value = word.sub(word.text.substr(equals + 1));
        pair.value = value.text;
        check_word(value);
    }
    instruction.pairs.push_back(std::move(pair));
}

void InstructionReader::read_assignments(const Header& header, Instruction& instruction) {
    const std::string example = "write " + name(instruction) + " NAME=value";
    const std::vector<Span> words = match_assignments(header.arguments, escape_);
    if (words.empty()) {
        report(header.keyword, name(instruction) + " requires at least one argument", example);
        return;
    }
    if (words.front().text.find('=') == std::string_view::npos) {
        const auto parts = match_legacy_assignment(header.arguments);
        if (!parts) {
            report(header.arguments, name(instruction) + " must have two arguments", example);
            return;
        }
        take_argument(parts->name, instruction);
        take_argument(parts->value, instruction);
        check_word(parts->name);
        check_word(parts->value);
        instruction.pairs.push_back({std::string(parts->name.text), std::string(parts->value.text)});
        return;
    }
    for (const Span word : words) {
        if (word.text.find('=') == std::string_view::npos) {
            report(word, "can't find = in '" + brief(word.text) + "': must be of the form NAME=value",
                   "put a value with blanks in double quotes");
        } else {
            take_pair(word, instruction);
        }
    }
}

void InstructionReader::read_arg(const Header& header, Instruction& instruction) {
    const std::vector<Span> words = match_assignments(header.arguments, escape_);
    require(!words.empty(), header.keyword, "ARG requires at least one argument", "write ARG NAME or ARG NAME=value");
    for (const Span word : words) take_pair(word, instruction);
}

void InstructionReader::read_healthcheck(const Header& header, Instruction& instruction) {
    const std::string hint = "write HEALTHCHECK CMD command, or HEALTHCHECK NONE";
    const auto parts = match_healthcheck(header.arguments);
    if (!parts) {
        report(header.keyword, "HEALTHCHECK requires at least one argument", hint);
        return;
    }
    const std::string type = to_upper(parts->type.text);
    instruction.arguments.push_back(type);
    instruction.argument_ranges.push_back(range(parts->type));
    if (type == "NONE") {
        require(parts->command.text.empty(), parts->command, "HEALTHCHECK NONE takes no arguments", hint);
    } else if (type == "CMD") {
        if (!take_exec_form(parts->command, instruction)) {
            if (const auto line = match_shell_line(parts->command)) {
                instruction.form = Form::shell;
                take_argument(*line, instruction);
            }
        }
        require(instruction.arguments.size() > 1, parts->type, "missing command after HEALTHCHECK CMD", hint);
    } else {
        report(parts->type, "unknown type '" + brief(parts->type.text) + "' in HEALTHCHECK", hint);
    }
}

void InstructionReader::read_onbuild(const Header& header, Instruction& instruction) {
    const auto text = match_trigger(header.arguments);
    if (!text) {
        report(header.keyword, "ONBUILD requires at least one argument", "write ONBUILD INSTRUCTION arguments");
        return;
    }
    check_trigger(*text);
    take_argument(*text, instruction);
    // The trigger must stand alone in the image's config, so its heredocs go along.
    std::string& trigger = instruction.arguments.back();
    for (const Heredoc& heredoc : line_.heredocs) trigger += "\n" + heredoc.content + heredoc.name;
}

void InstructionReader::check_trigger(Span text) {
    const Header header = parse_header(text, escape_);
    const auto keyword = keyword_of(header.keyword.text);
    if (keyword == Keyword::onbuild) {
        report(header.keyword, "chaining ONBUILD via ONBUILD ONBUILD isn't allowed", "remove one of the two");
    } else if (keyword == Keyword::from || keyword == Keyword::maintainer) {
        report(header.keyword, std::string(name_of(*keyword)) + " isn't allowed as an ONBUILD trigger");
    } else {
        read_span(text);
    }
}

bool InstructionReader::take_exec_form(Span arguments, Instruction& instruction) {
    ExecForm exec = parse_exec_form(arguments.text);
    if (exec.array_of_others) {
        report(arguments, "when using JSON array syntax, arrays must be comprised of strings only",
               "put each element in double quotes");
    }
    if (exec.form != Form::exec) return false;
    instruction.form = Form::exec;
    const bool expands = instruction.keyword == Keyword::copy || instruction.keyword == Keyword::add ||
                         instruction.keyword == Keyword::volume;
    for (std::size_t i = 0; i < exec.arguments.size(); ++i) {
        const Span written = arguments.sub(exec.parts[i]);
        if (i < max_ranges) instruction.argument_ranges.push_back(range(written));
        require(exec.arguments[i].find('\0') == std::string::npos, written, "an argument can't hold a NUL character");
        if (expands) {
            if (const auto fault = word_fault(exec.arguments[i], escape_)) report(written, fault->message, fault->hint);
        }
        instruction.arguments.push_back(std::move(exec.arguments[i]));
    }
    return true;
}

void InstructionReader::take_argument(Span word, Instruction& instruction) {
    instruction.arguments.emplace_back(word.text);
    if (instruction.argument_ranges.size() < max_ranges) instruction.argument_ranges.push_back(range(word));
}

void InstructionReader::check_word(Span word) {
    const auto fault = word_fault(word.text, escape_);
    if (fault) report(word.sub(word.text.substr(fault->offset)), fault->message, fault->hint);
}

void InstructionReader::require(bool condition, Span where, std::string message, std::string hint) {
    if (!condition) report(where, std::move(message), std::move(hint));
}

void InstructionReader::report(Span where, std::string message, std::string hint) {
    faults_.add(range(where), std::move(message), std::move(hint));
}

}  // namespace mkimg::parser
