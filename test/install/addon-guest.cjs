// Runs in a process of another C library or processor, without our TypeScript: the addon is given a real TCP connection as
// descriptor 3, and what its functions say of it is printed. `argv[2]` is the addon.
const addon = require(process.argv[2])
const FD = 3
const option = addon.options.indexOf('TCP_USER_TIMEOUT')
const row = new Float64Array(addon.fields.length)
addon.inspectMany(new Int32Array([FD]), new Int32Array(1), 1, row)
// Two pieces of the slab to the connection, and one to no socket at all.
const rows = new Int32Array([FD, 0, 0, -1, 1, 0])
const incomplete = addon.sendMany(
  new TextEncoder().encode('data: hello\n\n'),
  new Int32Array([0, 6, 1, 6, 7, -1]),
  2,
  rows,
  2,
)
/** What the option was before, and how many could not be set. */
function exchange(value) {
  const settings = new Int32Array([option, value, 0])
  return [addon.setOptions(FD, settings, 1, 1), settings[2]]
}

console.log(
  JSON.stringify({
    abi: addon.abi,
    set: addon.setOption(FD, option, 4321),
    get: addon.getOption(FD, option),
    probed: addon.options.filter((_, index) => addon.probeOption(index) === 0),
    info: Object.fromEntries(addon.fields.map((name, index) => [name, row[index]])),
    incomplete,
    sent: [rows[2], rows[5]],
    exchanged: exchange(5678),
    badDescriptor: addon.setOption(-1, option, 1),
    libc: require('node:fs')
      .readFileSync('/proc/self/maps', 'utf8')
      .match(/\S*(musl\S*libc|libc)\.so\S*/)?.[0],
  }),
)
