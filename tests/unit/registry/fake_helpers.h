// Credential helpers as shell scripts, first in PATH.
#pragma once

#include <stdlib.h>

#include <string>

#include "tests/unit/temp_dir.h"

namespace mkimg::registry {

class FakeHelpers {
  public:
    FakeHelpers() : path_(::getenv("PATH")) { ::setenv("PATH", (dir.path() + ":" + path_).c_str(), 1); }
    ~FakeHelpers() { ::setenv("PATH", path_.c_str(), 1); }

    // docker-credential-NAME. What it was asked stands in the file NAME.log: the action, then its input.
    void add(const std::string& name, const std::string& body) const {
        dir.write("docker-credential-" + name,
                  "#!/bin/sh\ninput=$(cat)\nprintf '%s %s\\n' \"$1\" \"$input\" >> '" + dir.path(name + ".log") +
                      "'\n" + body + "\n",
                  0755);
    }
    std::string log(const std::string& name) const { return dir.read(name + ".log"); }

    const TempDir dir;

  private:
    std::string path_;
};

}  // namespace mkimg::registry
