// Whether one blob or layer of a store is what its digest says.
#pragma once

#include <string>

#include "oci/store.h"

namespace mkimg::layers {

// What is wrong with it, in words after its name; empty where nothing is. Also throws Error with it.
std::string verify_blob(oci::Store& store, const std::string& digest);
// A layer made here is written as a tar again; a foreign one is unpacked again from its blob and
// compared, for its own tar can't be made from the directory.
std::string verify_layer(oci::Store& store, const std::string& chain);

}  // namespace mkimg::layers
