// One logical line to one typed instruction.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "parser/exec_form.h"
#include "parser/faults.h"
#include "parser/header.h"
#include "parser/instruction.h"
#include "parser/logical_line.h"
#include "parser/source_text.h"

namespace mkimg::parser {

class InstructionReader {
  public:
    InstructionReader(SourceText& source, Faults& faults, char escape)
        : source_(source), faults_(faults), escape_(escape) {}

    // An instruction with faults is returned as far as it was understood; nothing for an unknown one.
    std::optional<Instruction> read(LogicalLine line);
    // The same for a line that a base image's ONBUILD left.
    std::optional<Instruction> read_trigger(LogicalLine line);

  private:
    std::optional<Instruction> read_span(Span text);
    void read_flags(const Header& header, Instruction& instruction);
    void read_arguments(const Header& header, Instruction& instruction);

    void read_from(const Header& header, Instruction& instruction);
    void read_command(const Header& header, Instruction& instruction);
    void read_shell(const Header& header, Instruction& instruction);
    void read_paths(const Header& header, Instruction& instruction);
    void read_words(const Header& header, Instruction& instruction);
    void read_text(const Header& header, Instruction& instruction);
    void read_assignments(const Header& header, Instruction& instruction);
    void read_arg(const Header& header, Instruction& instruction);
    void read_healthcheck(const Header& header, Instruction& instruction);
    void read_onbuild(const Header& header, Instruction& instruction);
    void check_trigger(Span text);

    bool take_exec_form(Span arguments, Instruction& instruction);
    void take_pair(Span word, Instruction& instruction);
    void take_argument(Span word, Instruction& instruction);
    void check_word(Span word);
    void require(bool condition, Span where, std::string message, std::string hint = {});

    SourceRange range(Span span) { return source_.range(line_.place(span.begin), line_.end_place(span.end())); }
    void report(Span where, std::string message, std::string hint = {});

    SourceText& source_;
    Faults& faults_;
    char escape_;
    LogicalLine line_;
};

}  // namespace mkimg::parser
