#include "sandbox/user_namespace.h"

namespace mkimg::sandbox {
void enter_user_namespace() {}
}  // namespace mkimg::sandbox
