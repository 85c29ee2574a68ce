// Collects what is wrong with a recipe, so that all of it is reported at once.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "parser/source_text.h"

namespace mkimg::parser {

class Faults {
  public:
    explicit Faults(const SourceText& source) : source_(source) {}

    // Past a hundred faults one more error says so and the rest is dropped.
    void add(SourceRange where, std::string message, std::string hint = {});

    bool empty() const noexcept { return errors_.empty(); }
    // In the order of their places.
    std::vector<Error> take();

  private:
    const SourceText& source_;
    std::vector<Error> errors_;
};

}  // namespace mkimg::parser
