// Files of a store that no record names: what killed processes and removed records leave.
#pragma once

#include <string>
#include <vector>

#include "oci/store.h"

namespace mkimg::layers {

struct Rubbish {
    bool blob = false;  // in blobs/sha256/; else in layers/
    std::string name;
};

// A build that runs renames a file before its record can be seen: hold the store's lock alone
// before you remove any of them.
std::vector<Rubbish> find_rubbish(oci::Store& store);

}  // namespace mkimg::layers
