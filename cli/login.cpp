// mkimg login [REGISTRY]
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/password.h"
#include "cli/registry_options.h"
#include "cli/signals.h"
#include "registry/keychain.h"
#include "registry/registries.h"

namespace mkimg::cli {
namespace {

struct LoginArguments {
    std::string registry = "docker.io";
    std::string user;
    bool password_stdin = false;
    RegistryOptions options;
};

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

registry::Credential ask_for(const LoginArguments& arguments, const Cancellation& cancel) {
    registry::Credential credential;
    if (arguments.password_stdin && arguments.user.empty()) {
        throw Error(ErrorCode::usage, "--password-stdin needs a user", "give -u USER");
    }
    credential.username = arguments.user.empty() ? ask("Username: ", Echo::on, cancel) : arguments.user;
    // RFC 7617 section 2: neither can stand in Basic authentication.
    if (credential.username.empty() || has_control(credential.username) ||
        credential.username.find(':') != std::string::npos) {
        throw Error(ErrorCode::usage, "a user name is needed, without \":\" and control bytes");
    }
    credential.password = arguments.password_stdin ? read_password() : ask("Password: ", Echo::off, cancel);
    if (credential.password.empty()) throw Error(ErrorCode::denied, "the password is empty");
    // Line ends may be: Google's password is a key file, of many lines.
    if (credential.password.find('\0') != std::string::npos) {
        throw Error(ErrorCode::denied, "the password has a zero byte in it");
    }
    return credential;
}

// False where the registry lets everybody in, and so has not looked at the credential.
bool check(registry::Client& client) {
    try {
        client.send("/v2/", {}, {});
    } catch (Error& error) {
        if (error.code() == ErrorCode::denied) {
            error.set_hint(
                "check the user name and the password; where two factors are needed, an access token takes the "
                "password's place");
        }
        throw;
    }
    return client.who() != "anonymous";
}

void login(const LoginArguments& arguments) {
    const std::string host = registry::Keychain::host_of(arguments.registry);
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    const auto credential = ask_for(arguments, cancel);
    registry::Registries registries(arguments.options.config(), cancel, registry::Registries::Login{host, credential});
    const bool checked = check(registries.client(host));
    const std::string where = registry::Keychain().store(host, credential);
    std::string message = "logged in to " + host + " as " + printable(credential.username) + "; credentials are in " +
                          printable(where) + "\n";
    if (!checked) message += "they could not be checked: " + host + " asks nobody who they are\n";
    write_full(STDERR_FILENO, message);
}

}  // namespace

void add_login(CLI::App& command, Globals&) {
    auto arguments = std::make_shared<LoginArguments>();
    command.add_option("registry", arguments->registry, "The registry, HOST[:PORT] (default: docker.io)")
        ->type_name("");
    command.add_option("-u,--username", arguments->user, "Who to be; asked for on the terminal otherwise")
        ->type_name("USER");
    command.add_flag("--password-stdin", arguments->password_stdin,
                     "Read the password from stdin; asked for on the terminal otherwise");
    // Known, so that whoever is used to it reads why.
    auto* const password = command.add_option("-p,--password")->expected(0, 1)->group("");
    arguments->options.add_to(command);
    command.callback([arguments, password] {
        if (password->count() != 0) {
            throw Error(ErrorCode::usage,
                        "-p is refused: everybody on this host can read a password on a command line, and the shell "
                        "keeps it in its history",
                        "give --password-stdin, with the password on stdin");
        }
        login(*arguments);
    });
}

}  // namespace mkimg::cli
