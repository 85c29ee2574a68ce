// Values in the image config that have a syntax of their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "oci/image_config.h"

namespace mkimg::builder {

// SHELL of the config, or {"/bin/sh", "-c"}.
std::vector<std::string> shell_of(const oci::ImageConfig& config);

// Throws Error(recipe) unless it is a signal's number (1 to 64) or name, with or without SIG.
void check_signal(std::string_view signal);

// Throws Error(recipe) for a user or group number that no Linux system has (4294967295, -1, …).
void check_user_number(std::string_view user);

}  // namespace mkimg::builder
