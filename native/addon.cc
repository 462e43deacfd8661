// The Node-API layer: it unpacks numbers, calls tcp.h and packs numbers. It keeps no state, so it
// has no cleanup and many worker threads can load it. It throws a plain TypeError only for mistakes
// in this library's TypeScript, which has already validated what users pass.
#include <napi.h>

#include <cstdint>

#include "diag.h"
#include "tcp.h"

namespace {

Napi::Value BadCall(const Napi::CallbackInfo& info, const char* message) {
  Napi::TypeError::New(info.Env(), message).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

// NaN, fractions and numbers beyond 32 bits would be converted to another number, which could be
// another descriptor.
bool IsInt(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsNumber()) return false;
  const double value = info[index].As<Napi::Number>().DoubleValue();
  return value >= INT32_MIN && value <= INT32_MAX && value == static_cast<std::int32_t>(value);
}

int Int(const Napi::CallbackInfo& info, std::size_t index) {
  return info[index].As<Napi::Number>().Int32Value();
}

bool IsOption(const Napi::CallbackInfo& info, std::size_t index) {
  return IsInt(info, index) && Int(info, index) >= 0 &&
         static_cast<std::size_t>(Int(info, index)) < tcp_sse::OptionCount();
}

bool IsArray(const Napi::CallbackInfo& info, std::size_t index, napi_typedarray_type type) {
  return info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == type;
}

bool IsLong(const Napi::CallbackInfo& info, std::size_t index, std::size_t length) {
  return info[index].As<Napi::TypedArray>().ElementLength() >= length;
}

// Whether an argument is an array with as many settings as a later argument says, each of a known
// option.
bool AreSettings(const Napi::CallbackInfo& info, std::size_t array, std::size_t count_index) {
  if (!IsArray(info, array, napi_int32_array) || !IsInt(info, count_index)) return false;
  if (Int(info, count_index) < 0) return false;
  const auto count = static_cast<std::size_t>(Int(info, count_index));
  if (!IsLong(info, array, count * 3)) return false;
  const auto* settings =
      reinterpret_cast<const tcp_sse::Setting*>(info[array].As<Napi::Int32Array>().Data());
  for (std::size_t i = 0; i < count; i++) {
    const std::int32_t option = settings[i].option;
    if (option < 0 || static_cast<std::size_t>(option) >= tcp_sse::OptionCount()) return false;
  }
  return true;
}

// setOption(fd, option, value) -> 0 | -errno
Napi::Value SetOption(const Napi::CallbackInfo& info) {
  if (!IsInt(info, 0) || !IsOption(info, 1) || !IsInt(info, 2)) {
    return BadCall(info, "setOption(fd, option, value) takes three integers");
  }
  return Napi::Number::New(info.Env(),
                           tcp_sse::SetOption(Int(info, 0), Int(info, 1), Int(info, 2)));
}

// getOption(fd, option) -> value | -errno
Napi::Value GetOption(const Napi::CallbackInfo& info) {
  if (!IsInt(info, 0) || !IsOption(info, 1)) {
    return BadCall(info, "getOption(fd, option) takes two integers");
  }
  return Napi::Number::New(info.Env(), tcp_sse::GetOption(Int(info, 0), Int(info, 1)));
}

// probeOption(option) -> 0 | -errno
Napi::Value ProbeOption(const Napi::CallbackInfo& info) {
  if (!IsOption(info, 0)) return BadCall(info, "probeOption(option) takes an integer");
  return Napi::Number::New(info.Env(), tcp_sse::ProbeOption(Int(info, 0)));
}

// setOptions(fd, settings: Int32Array, count, save: 0 | 1) -> number of settings that failed. Each
// setting has three numbers, as in tcp.h.
Napi::Value SetOptions(const Napi::CallbackInfo& info) {
  if (!IsInt(info, 0) || !AreSettings(info, 1, 2) || !IsInt(info, 3)) {
    return BadCall(info, "setOptions(fd, settings, count, save): an argument is invalid");
  }
  auto* settings = reinterpret_cast<tcp_sse::Setting*>(info[1].As<Napi::Int32Array>().Data());
  const auto count = static_cast<std::size_t>(Int(info, 2));
  tcp_sse::SetOptions(Int(info, 0), settings, count, Int(info, 3) != 0);
  int failed = 0;
  for (std::size_t i = 0; i < count; i++) failed += settings[i].outcome < 0;
  return Napi::Number::New(info.Env(), failed);
}

// inspectMany(fds: Int32Array, starts: Int32Array, count, out: Float64Array): writes a row for each
// of the first `count` fds, beginning at the index in `starts`
Napi::Value InspectMany(const Napi::CallbackInfo& info) {
  constexpr const char* kUsage =
      "inspectMany(fds, starts, count, out) takes two Int32Arrays, an integer, a Float64Array";
  if (!IsArray(info, 0, napi_int32_array) || !IsArray(info, 1, napi_int32_array) ||
      !IsInt(info, 2) || Int(info, 2) < 0 || !IsArray(info, 3, napi_float64_array)) {
    return BadCall(info, kUsage);
  }
  const auto count = static_cast<std::size_t>(Int(info, 2));
  if (!IsLong(info, 0, count) || !IsLong(info, 1, count)) return BadCall(info, kUsage);
  const int32_t* fds = info[0].As<Napi::Int32Array>().Data();
  const int32_t* starts = info[1].As<Napi::Int32Array>().Data();
  auto out = info[3].As<Napi::Float64Array>();
  const std::size_t columns = tcp_sse::FieldCount();
  for (std::size_t i = 0; i < count; i++) {
    if (starts[i] < 0 || static_cast<std::size_t>(starts[i]) + columns > out.ElementLength()) {
      return BadCall(info, "inspectMany: a row is outside the array");
    }
  }
  for (std::size_t i = 0; i < count; i++) tcp_sse::Inspect(fds[i], out.Data() + starts[i]);
  return info.Env().Undefined();
}

// Whether every row's chain of pieces ends and stays inside the slab.
bool AreSound(const tcp_sse::Piece* pieces, std::size_t piece_count, std::size_t slab_size,
              const tcp_sse::Row* rows, std::size_t row_count) {
  const auto count = static_cast<std::int64_t>(piece_count);
  for (std::int64_t i = 0; i < count; i++) {
    const tcp_sse::Piece& piece = pieces[i];
    if (piece.offset < 0 || piece.length <= 0) return false;
    if (static_cast<std::size_t>(piece.offset) + piece.length > slab_size) return false;
    if (piece.next != -1 && (piece.next <= i || piece.next >= count)) return false;
  }
  for (std::size_t i = 0; i < row_count; i++) {
    if (rows[i].first < 0 || rows[i].first >= count) return false;
  }
  return true;
}

// sendMany(slab: Uint8Array, pieces: Int32Array, pieceCount, rows: Int32Array, rowCount) -> number
// of rows not sent completely. Each piece and each row has three numbers, as in tcp.h.
Napi::Value SendMany(const Napi::CallbackInfo& info) {
  constexpr const char* kUsage =
      "sendMany(slab, pieces, pieceCount, rows, rowCount): an argument is invalid";
  if (!IsArray(info, 0, napi_uint8_array) || !IsArray(info, 1, napi_int32_array) ||
      !IsInt(info, 2) || !IsArray(info, 3, napi_int32_array) || !IsInt(info, 4)) {
    return BadCall(info, kUsage);
  }
  auto slab = info[0].As<Napi::Uint8Array>();
  auto pieces = info[1].As<Napi::Int32Array>();
  auto rows = info[3].As<Napi::Int32Array>();
  const int piece_count = Int(info, 2);
  const int row_count = Int(info, 4);
  if (piece_count < 0 || row_count < 0 ||
      static_cast<std::size_t>(piece_count) > pieces.ElementLength() / 3 ||
      static_cast<std::size_t>(row_count) > rows.ElementLength() / 3) {
    return BadCall(info, kUsage);
  }
  const auto* piece = reinterpret_cast<const tcp_sse::Piece*>(pieces.Data());
  auto* row = reinterpret_cast<tcp_sse::Row*>(rows.Data());
  if (!AreSound(piece, piece_count, slab.ByteLength(), row, row_count)) {
    return BadCall(info, kUsage);
  }
  return Napi::Number::New(info.Env(), tcp_sse::SendMany(slab.Data(), piece, row, row_count));
}

// sendToEach(fds: Int32Array, from, to, bytes: Uint8Array, shorts: Int32Array) -> number of sockets
// that took everything
Napi::Value SendToEach(const Napi::CallbackInfo& info) {
  constexpr const char* kUsage = "sendToEach(fds, from, to, bytes, shorts): an argument is invalid";
  if (!IsArray(info, 0, napi_int32_array) || !IsInt(info, 1) || !IsInt(info, 2) ||
      !IsArray(info, 3, napi_uint8_array) || !IsArray(info, 4, napi_int32_array)) {
    return BadCall(info, kUsage);
  }
  const int from = Int(info, 1);
  const int to = Int(info, 2);
  if (from < 0 || to < from || !IsLong(info, 0, static_cast<std::size_t>(to)) ||
      !IsLong(info, 4, 1 + 2 * static_cast<std::size_t>(to - from))) {
    return BadCall(info, kUsage);
  }
  const auto fds = info[0].As<Napi::Int32Array>();
  const auto bytes = info[3].As<Napi::Uint8Array>();
  auto shorts = info[4].As<Napi::Int32Array>();
  const std::size_t whole =
      tcp_sse::SendToEach(fds.Data(), static_cast<std::size_t>(from), static_cast<std::size_t>(to),
                    bytes.Data(), bytes.ByteLength(), shorts.Data());
  return Napi::Number::New(info.Env(), static_cast<double>(whole));
}

// dumpSockets(family, states, ports: Int32Array, portCount, out: Float64Array) -> number of sockets
// | -errno. Writes as many rows as fit.
Napi::Value DumpSockets(const Napi::CallbackInfo& info) {
  if (!IsInt(info, 0) || !IsInt(info, 1) || !IsArray(info, 2, napi_int32_array) ||
      !IsInt(info, 3) || !IsArray(info, 4, napi_float64_array) || Int(info, 3) < 0 ||
      !IsLong(info, 2, static_cast<std::size_t>(Int(info, 3)))) {
    return BadCall(info,
                   "dumpSockets(family, states, ports, portCount, out): an argument is invalid");
  }
  const auto ports = info[2].As<Napi::Int32Array>();
  auto out = info[4].As<Napi::Float64Array>();
  const int result =
      tcp_sse::DumpSockets(Int(info, 0), static_cast<std::uint32_t>(Int(info, 1)), ports.Data(),
                           static_cast<std::size_t>(Int(info, 3)), out.Data(),
                           out.ElementLength() / tcp_sse::DiagFieldCount());
  return Napi::Number::New(info.Env(), result);
}

// findSockets(ids: Uint32Array, count, out: Float64Array) -> 0 | -errno. Writes one row for each of
// the first `count` ids.
Napi::Value FindSockets(const Napi::CallbackInfo& info) {
  if (!IsArray(info, 0, napi_uint32_array) || !IsInt(info, 1) || Int(info, 1) < 0 ||
      !IsArray(info, 2, napi_float64_array) ||
      !IsLong(info, 0, static_cast<std::size_t>(Int(info, 1)) * tcp_sse::kSocketIdWords) ||
      !IsLong(info, 2, static_cast<std::size_t>(Int(info, 1)) * tcp_sse::DiagFieldCount())) {
    return BadCall(info, "findSockets(ids, count, out): an argument is invalid");
  }
  const auto* ids =
      reinterpret_cast<const tcp_sse::SocketId*>(info[0].As<Napi::Uint32Array>().Data());
  double* rows = info[2].As<Napi::Float64Array>().Data();
  return Napi::Number::New(
      info.Env(), tcp_sse::FindSockets(ids, static_cast<std::size_t>(Int(info, 1)), rows));
}

// destroySocket(id: Uint32Array) -> 0 | -errno
Napi::Value DestroySocket(const Napi::CallbackInfo& info) {
  if (!IsArray(info, 0, napi_uint32_array) || !IsLong(info, 0, tcp_sse::kSocketIdWords)) {
    return BadCall(info, "destroySocket(id) takes a Uint32Array");
  }
  const auto* id =
      reinterpret_cast<const tcp_sse::SocketId*>(info[0].As<Napi::Uint32Array>().Data());
  return Napi::Number::New(info.Env(), tcp_sse::DestroySocket(*id));
}

// probeDestroy() -> 0 | -errno
Napi::Value ProbeDestroy(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), tcp_sse::ProbeDestroy());
}

// setOptionsOf(pid, fd, cookie: Uint32Array, settings: Int32Array, count) -> 0 | -errno. Settings
// are as in `setOptions`.
Napi::Value SetOptionsOf(const Napi::CallbackInfo& info) {
  if (!IsInt(info, 0) || !IsInt(info, 1) || !IsArray(info, 2, napi_uint32_array) ||
      !IsLong(info, 2, 2) || !AreSettings(info, 3, 4)) {
    return BadCall(info, "setOptionsOf(pid, fd, cookie, settings, count): an argument is invalid");
  }
  auto* settings = reinterpret_cast<tcp_sse::Setting*>(info[3].As<Napi::Int32Array>().Data());
  const int result = tcp_sse::SetOptionsOf(
      Int(info, 0), Int(info, 1), info[2].As<Napi::Uint32Array>().Data(), settings,
      static_cast<std::size_t>(Int(info, 4)));
  return Napi::Number::New(info.Env(), result);
}

Napi::Array Names(Napi::Env env, std::size_t count, const char* (*name)(std::size_t)) {
  Napi::Array names = Napi::Array::New(env, count);
  for (std::size_t i = 0; i < count; i++) {
    names.Set(static_cast<uint32_t>(i), Napi::String::New(env, name(i)));
  }
  return names;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("abi", Napi::Number::New(env, tcp_sse::kAbi));
  exports.Set("options", Names(env, tcp_sse::OptionCount(), tcp_sse::OptionName));
  exports.Set("fields", Names(env, tcp_sse::FieldCount(), tcp_sse::FieldName));
  exports.Set("setOption", Napi::Function::New(env, SetOption));
  exports.Set("setOptions", Napi::Function::New(env, SetOptions));
  exports.Set("getOption", Napi::Function::New(env, GetOption));
  exports.Set("probeOption", Napi::Function::New(env, ProbeOption));
  exports.Set("sendMany", Napi::Function::New(env, SendMany));
  exports.Set("sendToEach", Napi::Function::New(env, SendToEach));
  exports.Set("diagFields", Names(env, tcp_sse::DiagFieldCount(), tcp_sse::DiagFieldName));
  exports.Set("dumpSockets", Napi::Function::New(env, DumpSockets));
  exports.Set("findSockets", Napi::Function::New(env, FindSockets));
  exports.Set("destroySocket", Napi::Function::New(env, DestroySocket));
  exports.Set("probeDestroy", Napi::Function::New(env, ProbeDestroy));
  exports.Set("setOptionsOf", Napi::Function::New(env, SetOptionsOf));
  exports.Set("inspectMany", Napi::Function::New(env, InspectMany));
  return exports;
}

}  // namespace

NODE_API_MODULE(tcp_sse, Init)
