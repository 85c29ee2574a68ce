#include "builder/build_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>

namespace mkimg::builder {

BuildLog::BuildLog(oci::Store& store)
    : store_(store), name_(std::to_string(std::time(nullptr)) + "-" + std::to_string(::getpid()) + ".log") {}

void BuildLog::write(const StepInfo& step, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    if (!file_) file_ = open_at(store_.logs_fd(), name_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (last_step_ != step.id) {
        write_full(file_.get(), "\n#" + std::to_string(step.id) + " [" + step.stage + " " +
                                    std::to_string(step.number) + "/" + std::to_string(step.total) + "] " + step.text +
                                    "\n");
        last_step_ = step.id;
    }
    write_full(file_.get(), bytes);
}

std::string BuildLog::path() const {
    return store_.path() + "/logs/" + name_;
}

}  // namespace mkimg::builder
