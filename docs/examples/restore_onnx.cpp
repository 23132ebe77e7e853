// Restore a PNG picture with a file of `restorebox export --to onnx`.
//
//     g++ -std=c++17 -O2 restore_onnx.cpp -o restore_onnx -lonnxruntime -lpng
//     ./restore_onnx weather.onnx in.png out.png [CORE [BATCH [PROVIDER]]]
//
// CORE: pixels of a tile without its margins, 512. BATCH: tiles in one pass, 1.
// PROVIDER: CPU, CUDA, OpenVINO, CoreML or DML (DirectML), as far as the library was built with it.
#include <onnxruntime_cxx_api.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// RGB in [0, 1], three planes one after the other.
struct Picture {
    int height = 0, width = 0;
    std::vector<float> values;
    Picture(int h, int w) : height(h), width(w), values(3 * static_cast<size_t>(h) * w) {}
    float& at(int c, int y, int x) { return values[(static_cast<size_t>(c) * height + y) * width + x]; }
};

Picture read_png(const char* path) {
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&png, path)) throw std::runtime_error(std::string(path) + ": " + png.message);
    png.format = PNG_FORMAT_RGB;
    std::vector<png_byte> bytes(PNG_IMAGE_SIZE(png));
    if (!png_image_finish_read(&png, nullptr, bytes.data(), 0, nullptr))
        throw std::runtime_error(std::string(path) + ": " + png.message);
    Picture picture(png.height, png.width);
    for (int y = 0; y < picture.height; ++y)
        for (int x = 0; x < picture.width; ++x)
            for (int c = 0; c < 3; ++c)
                picture.at(c, y, x) = bytes[(static_cast<size_t>(y) * picture.width + x) * 3 + c] / 255.0f;
    return picture;
}

void write_png(Picture& picture, int height, int width, const char* path) {
    std::vector<png_byte> bytes(3 * static_cast<size_t>(height) * width);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c)  // half to even, as NumPy rounds
                bytes[(static_cast<size_t>(y) * width + x) * 3 + c] = std::nearbyint(picture.at(c, y, x) * 255);
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    png.format = PNG_FORMAT_RGB;
    png.height = height;
    png.width = width;
    if (!png_image_write_to_file(&png, path, 0, bytes.data(), 0, nullptr))
        throw std::runtime_error(std::string(path) + ": " + png.message);
}

int round_up(int n, int stride) { return (n + stride - 1) / stride * stride; }

// Index of a pixel beyond the end of an axis by reflection, repeated if the axis is shorter than the pad.
int reflected(int i, int size) {
    const int period = std::max(2 * size - 2, 1);
    i %= period;
    return i < size ? i : period - i;
}

// Pad at the bottom and the right.
Picture padded(Picture& picture, int height, int width) {
    Picture out(height, width);
    for (int c = 0; c < 3; ++c)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x)
                out.at(c, y, x) = picture.at(c, reflected(y, picture.height), reflected(x, picture.width));
    return out;
}

// Seven statistics of a whole picture in 32x32 cells, as in restorebox.layers.global_statistics.
std::vector<float> scene_statistics(Picture& picture) {
    constexpr int grid = 32, plane = grid * grid;
    const int height = picture.height, width = picture.width;
    const auto grey = [&](int y, int x) { return (picture.at(0, y, x) + picture.at(1, y, x) + picture.at(2, y, x)) / 3.0; };
    const auto first = [](int i, int size) { return static_cast<int>(static_cast<int64_t>(i) * size / grid); };
    const auto end = [](int i, int size) { return static_cast<int>((static_cast<int64_t>(i + 1) * size + grid - 1) / grid); };
    std::vector<float> out(7 * plane);
    for (int i = 0; i < grid; ++i)
        for (int j = 0; j < grid; ++j) {
            double sums[7] = {};  // red, green, blue, differences along rows and columns, grey, its square
            float least = std::numeric_limits<float>::max();
            int count = 0;
            for (int y = first(i, height); y < end(i, height); ++y)
                for (int x = first(j, width); x < end(j, width); ++x, ++count) {
                    const double here = grey(y, x);
                    for (int c = 0; c < 3; ++c) {
                        sums[c] += picture.at(c, y, x);
                        least = std::min(least, picture.at(c, y, x));
                    }
                    sums[3] += x + 1 < width ? 10 * std::abs(grey(y, x + 1) - here) : 0;
                    sums[4] += y + 1 < height ? 10 * std::abs(grey(y + 1, x) - here) : 0;
                    sums[5] += here;
                    sums[6] += here * here;
                }
            for (double& sum : sums) sum /= count;
            const double deviation = std::sqrt(std::max(0.0, sums[6] - sums[5] * sums[5]));
            const double values[] = {sums[0], sums[1], sums[2], deviation, sums[3], sums[4], least};
            for (int k = 0; k < 7; ++k) out[k * plane + i * grid + j] = static_cast<float>(values[k]);
        }
    return out;
}

// A whole number in the metadata, which are a flat JSON object; `missing` if it is null.
int fact(const std::string& json, const std::string& name, int missing) {
    const std::string key = "\"" + name + "\": ";
    const size_t at = json.find(key);
    if (at == std::string::npos) throw std::runtime_error("the model lacks " + name + "; use `restorebox export`");
    const std::string value = json.substr(at + key.size(), 16);
    return value.rfind("null", 0) == 0 ? missing : std::stoi(value);
}

// Which providers ran how many nodes, from the profile that onnxruntime has written. The profile is removed.
void report_providers(Ort::Session& session, Ort::AllocatorWithDefaultOptions& allocator) {
    const std::string path = session.EndProfilingAllocated(allocator).get();
    std::ifstream file(path);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    file.close();
    std::remove(path.c_str());
    std::map<std::string, int> nodes;
    const std::string key = "\"provider\" : \"";
    for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at)) {
        at += key.size();
        ++nodes[text.substr(at, text.find('"', at) - at)];
    }
    for (const auto& [name, count] : nodes) std::cout << name << " ran nodes " << count << " times\n";
}

void append_provider(Ort::SessionOptions& options, const std::string& name) {
    if (name == "CPU") return;
    if (name == "CUDA")
        options.AppendExecutionProvider_CUDA(OrtCUDAProviderOptions{});
    else
        options.AppendExecutionProvider(name, {});
}

void restore(const char* model, const char* source, const char* target, int core, int batch, const std::string& provider) {
    Picture read = read_png(source);  // before the session, whose profile would be left by an error
    Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
    Ort::SessionOptions options;
    append_provider(options, provider);
    options.EnableProfiling((std::filesystem::temp_directory_path() / "restore_onnx").c_str());
    Ort::Session session(env, std::filesystem::path(model).c_str(), options);
    Ort::AllocatorWithDefaultOptions allocator;
    const auto found = session.GetModelMetadata().LookupCustomMetadataMapAllocated("restorebox", allocator);
    if (!found) throw std::runtime_error("the model lacks its metadata; use `restorebox export`");
    const std::string facts = found.get();
    const int stride = fact(facts, "stride", 1), least = fact(facts, "min_size", 1);

    const int height = round_up(std::max(read.height, least), stride);
    const int width = round_up(std::max(read.width, least), stride);
    Picture picture = padded(read, height, width), restored(height, width);
    // half of what a pixel depends on or of its window of statistics, and 64 for the layers below the statistics
    const int margin = round_up(fact(facts, "receptive_field", 129) / 2 + 64, stride);
    core = round_up(std::max(core, 1), stride);
    // tiles of one size, moved inwards at the picture's borders
    const int tile_height = std::min(height, core + 2 * margin), tile_width = std::min(width, core + 2 * margin);
    std::vector<std::pair<int, int>> cores;
    for (int y = 0; y < height; y += core)
        for (int x = 0; x < width; x += core) cores.emplace_back(y, x);
    const auto start = [&](int at, int size, int tile) { return std::clamp(at - margin, 0, size - tile); };

    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const char *names[] = {"picture", "scene"}, *outputs[] = {"restored"};
    const bool reads_scene = session.GetInputCount() > 1;  // statistics of the whole picture, equal for all tiles
    const std::vector<float> scene = reads_scene ? scene_statistics(read) : std::vector<float>();
    const size_t plane = static_cast<size_t>(tile_height) * tile_width;
    for (size_t first = 0; first < cores.size(); first += batch) {
        const size_t count = std::min<size_t>(batch, cores.size() - first);
        std::vector<float> tiles(count * 3 * plane);
        for (size_t i = 0; i < count; ++i) {
            const int top = start(cores[first + i].first, height, tile_height);
            const int left = start(cores[first + i].second, width, tile_width);
            for (int c = 0; c < 3; ++c)
                for (int y = 0; y < tile_height; ++y)
                    std::copy_n(&picture.at(c, top + y, left), tile_width,
                                &tiles[(i * 3 + c) * plane + static_cast<size_t>(y) * tile_width]);
        }
        const int64_t shape[] = {static_cast<int64_t>(count), 3, tile_height, tile_width};
        const int64_t scene_shape[] = {static_cast<int64_t>(count), 7, 32, 32};
        std::vector<float> scenes;
        std::vector<Ort::Value> inputs;
        inputs.push_back(Ort::Value::CreateTensor<float>(memory, tiles.data(), tiles.size(), shape, 4));
        if (reads_scene) {
            for (size_t i = 0; i < count; ++i) scenes.insert(scenes.end(), scene.begin(), scene.end());
            inputs.push_back(Ort::Value::CreateTensor<float>(memory, scenes.data(), scenes.size(), scene_shape, 4));
        }
        auto result = session.Run(Ort::RunOptions{}, names, inputs.data(), inputs.size(), outputs, 1);
        const float* made = result[0].GetTensorData<float>();
        for (size_t i = 0; i < count; ++i) {
            const auto [row, column] = cores[first + i];
            const int top = start(row, height, tile_height), left = start(column, width, tile_width);
            for (int c = 0; c < 3; ++c)
                for (int y = row; y < std::min(height, row + core); ++y)
                    std::copy_n(made + (i * 3 + c) * plane + static_cast<size_t>(y - top) * tile_width + column - left,
                                std::min(width, column + core) - column, &restored.at(c, y, column));
        }
    }
    write_png(restored, read.height, read.width, target);
    report_providers(session, allocator);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "restore_onnx MODEL INPUT.png OUTPUT.png [CORE [BATCH [PROVIDER]]]\n";
        return 2;
    }
    try {
        const int core = argc > 4 ? std::stoi(argv[4]) : 512, batch = argc > 5 ? std::stoi(argv[5]) : 1;
        restore(argv[1], argv[2], argv[3], core, std::max(batch, 1), argc > 6 ? argv[6] : "CPU");
    } catch (const std::exception& error) {
        std::cerr << "restore_onnx: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
