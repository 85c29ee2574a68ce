#include "registry/curl_transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "registry/curl_error.h"
#include "registry/curl_exchange.h"
#include "registry/curl_handle.h"
#include "registry/curl_options.h"
#include "registry/proxy.h"

namespace mkimg::registry {
namespace {

static_assert(LIBCURL_VERSION_NUM >= 0x075700, "libcurl 7.87 brought CURLOPT_QUICK_EXIT");

constexpr long buffer_size = 512L << 10U;
constexpr long stall_bytes = 1024;  // per second

// So that no socket is left to a program that is started meanwhile.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) noexcept {
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// libcurl counts stalls in whole seconds.
long whole_seconds(std::chrono::milliseconds duration) {
    return std::max(1L, static_cast<long>(std::chrono::ceil<std::chrono::seconds>(duration).count()));
}

// Ends a transfer, finished or not, when it goes out of scope.
struct Added {
    CURLM* multi;
    CURL* easy;
    ~Added() { curl_multi_remove_handle(multi, easy); }
};

void check(CURLMcode code) {
    if (code == CURLM_OK) return;
    throw Error(ErrorCode::internal, std::string("libcurl: ") + curl_multi_strerror(code));
}

}  // namespace

// A multi handle of its own, for its wait can be ended by a descriptor: a cancelled transfer stops at once,
// even while it connects. Connections belong to the multi handle.
struct CurlTransport::Line {
    std::string authority;                        // last spoken to
    std::array<char, CURL_ERROR_SIZE> details{};  // what libcurl says of a failure
    CurlMulti multi{curl_multi_init()};
    CurlEasy easy{curl_easy_init()};
};

void start_libcurl() {
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        throw Error(ErrorCode::host, std::string("libcurl does not start: ") + curl_easy_strerror(code));
    }
}

CurlTransport::CurlTransport(const RegistryConfig& config, const Cancellation& cancel)
    : config_(config), cancel_(cancel), trust_(config) {
    start_libcurl();
}

CurlTransport::~CurlTransport() = default;

std::unique_ptr<CurlTransport::Line> CurlTransport::take(const std::string& authority) {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto best = std::find_if(idle_.rbegin(), idle_.rend(),
                                     [&](const auto& line) { return line->authority == authority; });
            if (best == idle_.rend()) best = idle_.rbegin();
            std::swap(*best, idle_.back());
            auto line = std::move(idle_.back());
            idle_.pop_back();
            line->authority = authority;
            return line;
        }
    }
    auto line = std::make_unique<Line>();
    if (!line->multi || !line->easy) throw std::bad_alloc();
    line->authority = authority;
    return line;
}

void CurlTransport::give_back(std::unique_ptr<Line> line) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(line));
}

void CurlTransport::set_options(Line& line, const Request& request) {
    CURL* const easy = line.easy.get();
    curl_easy_reset(easy);  // connections stay
    line.details[0] = '\0';
    set_option(easy, CURLOPT_ERRORBUFFER, line.details.data());
    set_option(easy, CURLOPT_NOSIGNAL, 1L);
    set_option(easy, CURLOPT_USERAGENT, "mkimg/" MKIMG_VERSION);
    set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_option(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set_option(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set_option(easy, CURLOPT_PATH_AS_IS, 1L);  // Url has made it what it is to be
    // Nothing is gained by HTTP/2 where each transfer has a connection of its own.
    set_option(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set_option(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // Whatever a proxy would choose, no Kerberos: libcurl may be linked without it (cmake/Curl.cmake).
    set_option(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    set_option(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
    set_option(easy, CURLOPT_SOCKS5_AUTH, static_cast<long>(CURLAUTH_BASIC));
    set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set_option(easy, CURLOPT_BUFFERSIZE, buffer_size);
    set_option(easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer_size);
    // A name server that does not answer must not hold up who cancels.
    set_option(easy, CURLOPT_QUICK_EXIT, 1L);

    const Timeouts& timeouts = config_.timeouts();
    set_option(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts.connect.count()));
    if (request.document) {
        set_option(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeouts.document.count()));
    } else {
        set_option(easy, CURLOPT_LOW_SPEED_LIMIT, stall_bytes);
        set_option(easy, CURLOPT_LOW_SPEED_TIME, whole_seconds(timeouts.stall));
    }
    if (request.probe) set_option(easy, CURLOPT_CONNECT_ONLY, 1L);
    set_proxy(easy, request.url);
    trust_.apply(easy, request);
}

CURLcode CurlTransport::perform(Line& line) {
    CURLM* const multi = line.multi.get();
    check(curl_multi_add_handle(multi, line.easy.get()));
    const Added added{multi, line.easy.get()};
    for (;;) {
        cancel_.check();
        int running = 0;
        check(curl_multi_perform(multi, &running));
        if (running == 0) break;
        curl_waitfd cancelled{cancel_.event_fd(), CURL_WAIT_POLLIN, 0};
        check(curl_multi_poll(multi, &cancelled, 1, 1000, nullptr));
    }
    int left = 0;
    const CURLMsg* const message = curl_multi_info_read(multi, &left);
    if (message == nullptr) throw Error(ErrorCode::internal, "libcurl: a transfer ended without a result");
    return message->data.result;
}

Response CurlTransport::send(const Request& request, Receiver* receiver) {
    cancel_.check();
    auto line = take(request.url.authority());
    CurlExchange exchange(request, receiver);
    set_options(*line, request);
    exchange.attach(line->easy.get());
    const CURLcode code = perform(*line);
    if (!exchange.answered(code)) {
        throw_transfer_error(line->easy.get(), code, line->details.data(), request, exchange, config_.timeouts());
    }
    give_back(std::move(line));
    return exchange.take();
}

}  // namespace mkimg::registry
