// Columns for a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mkimg::cli {

class Table {
  public:
    explicit Table(std::vector<std::string> headings) { rows_.push_back(std::move(headings)); }
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    // Columns left-aligned, three blanks apart, none at the end of a line. Cells are escaped so that
    // hostile names can't steer the terminal.
    std::string str() const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

// "3 days ago".
std::string ago(std::int64_t unix_seconds);

}  // namespace mkimg::cli
