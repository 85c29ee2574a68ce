#include "builder/tree_index.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

namespace mkimg::builder {
namespace {

// Appends to `order` every node below `number` as a walk meets them.
void walk_order(const TreeIndex& index, std::uint32_t number, std::vector<std::uint32_t>& order) {
    index.each_child(number, [&](std::uint32_t child) {
        order.push_back(child);
        walk_order(index, child, order);
    });
}

}  // namespace

std::string TreeIndex::path(std::uint32_t number) const {
    std::vector<const char*> parts;
    for (; number != root; number = nodes_[number].parent) parts.push_back(name(number));
    std::string path;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (!path.empty()) path += '/';
        path += *part;
    }
    return path;
}

bool TreeIndex::has_visible_child(const Node& directory) const {
    const auto first = nodes_.begin() + directory.first_child;
    return std::any_of(first, first + directory.children, [](const Node& child) { return child.mode != 0; });
}

void TreeIndex::find_hard_links() {
    const auto linked = [](const Node& node) { return S_ISREG(node.mode) && node.links > 1; };
    for (Node& node : nodes_) node.link_to = 0;
    if (std::count_if(nodes_.begin(), nodes_.end(), linked) < 2) return;
    std::vector<std::uint32_t> order;
    walk_order(*this, root, order);
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> first_names;
    for (const std::uint32_t number : order) {
        Node& node = nodes_[number];
        if (!linked(node)) continue;
        const auto [first, is_first] = first_names.try_emplace({node.key.device, node.key.inode}, number);
        if (!is_first) node.link_to = first->second;
    }
}

TreeIndex TreeIndex::without(const parser::IgnoreRules& excluded) const {
    TreeIndex kept = *this;
    std::vector<std::uint32_t> directories;  // excluded, but may hold what a `!` pattern brings back
    // A child's number is larger than its parent's, so parents come first.
    for (std::uint32_t number = 1; number < kept.nodes_.size(); ++number) {
        Node& node = kept.nodes_[number];
        const std::uint32_t parent = node.parent;
        if (parent != root && kept.nodes_[parent].mode == 0) node.mode = 0;
        if (node.mode == 0) continue;
        const std::string at = path(number);
        if (!excluded.ignored(at)) continue;
        if (S_ISDIR(node.mode) && excluded.may_contain_included(at)) {
            directories.push_back(number);
        } else {
            node.mode = 0;
        }
    }
    for (auto number = directories.rbegin(); number != directories.rend(); ++number) {
        if (!kept.has_visible_child(kept.nodes_[*number])) kept.nodes_[*number].mode = 0;
    }
    kept.find_hard_links();
    return kept;
}

}  // namespace mkimg::builder
