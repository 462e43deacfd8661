// Finds the native addon and refuses what is not ours. Whatever goes wrong here is a sentence, never an exception: an
// application must start without the addon, too.
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import module from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HEAD_BYTES, unfit } from './elf.js'

/** What native/addon.cc exports. Every function is stateless and returns `0`, a value or `-errno`. */
export interface Addon {
  readonly abi: number
  readonly options: readonly string[]
  readonly fields: readonly string[]
  setOption(fd: number, option: number, value: number): number
  /** Three numbers a setting: option, value, outcome; returns how many failed. `save` is 0 or 1: see native/tcp.h. */
  setOptions(fd: number, settings: Int32Array, count: number, save: number): number
  getOption(fd: number, option: number): number
  probeOption(option: number): number
  /** A row of `fields` for each fd, from the number in `starts` on. */
  inspectMany(fds: Int32Array, starts: Int32Array, count: number, out: Float64Array): void
  /** Three numbers a piece (offset, length, next) and a row (fd, first piece, result); returns the incomplete rows. */
  sendMany(
    slab: Uint8Array,
    pieces: Int32Array,
    pieceCount: number,
    rows: Int32Array,
    rowCount: number,
  ): number
  /**
   * Sends the same bytes to the descriptors of rows `from` up to `to`; returns how many took everything. `shorts` gets the
   * number of the others, and of each its row and what it took or `-errno`.
   */
  sendToEach(
    fds: Int32Array,
    from: number,
    to: number,
    bytes: Uint8Array,
    shorts: Int32Array,
  ): number
  /** The columns of a row about a socket of anybody: `fields`, then native/diag.h's. */
  readonly diagFields: readonly string[]
  /** Returns how many sockets there are; as many rows are written as fit. */
  dumpSockets(
    family: number,
    states: number,
    ports: Int32Array,
    portCount: number,
    out: Float64Array,
  ): number
  /** Fourteen words an id, as native/diag.h has them. */
  findSockets(ids: Uint32Array, count: number, out: Float64Array): number
  destroySocket(id: Uint32Array): number
  probeDestroy(): number
  /** Settings as in `setOptions`. */
  setOptionsOf(
    pid: number,
    fd: number,
    cookie: Uint32Array,
    settings: Int32Array,
    count: number,
  ): number
}

/** Where this module is. esbuild puts nothing in its place where it makes CommonJS of it. */
const HERE: string | undefined = import.meta.url

/** `kAbi` of native/tcp.h. */
const ABI = 6

/** The addon, or why there is none, in one sentence. */
export type Loaded =
  | { readonly addon: Addon; readonly reason?: undefined }
  | { readonly addon?: undefined; readonly reason: string }

/** Looks once; two copies of this library in a process (ESM and CommonJS) share the file. */
export function loadAddon(): Loaded {
  const { env, platform, arch } = process
  if (env.TCP_SSE_NO_ADDON === '1') {
    return { reason: 'TCP_SSE_NO_ADDON=1 switches the addon off.' }
  }
  try {
    // `require` would look for a relative path beside this module. Empty is how many set-ups say "none".
    if (env.TCP_SSE_ADDON) return load(resolve(env.TCP_SSE_ADDON))
    if (platform !== 'linux') return { reason: `There is no addon for ${platform}.` }
    const root = packageRoot()
    if (root === undefined) {
      return {
        reason:
          'The addon cannot be found beside a bundled copy: tell the bundler that tcp-sse is external, or name the file by TCP_SSE_ADDON.',
      }
    }
    // What a checkout has built wins. One file is tried: a broken build is told of, not passed over.
    const places = [join('build', 'Release'), join('prebuilds', `${platform}-${arch}`)]
    const file = places.map((place) => join(root, place, 'addon.node')).find(existsSync)
    if (file !== undefined) return load(file)
    return { reason: `There is no addon for ${platform}-${arch} in ${root}.` }
  } catch (error) {
    return { reason: `The addon did not load: ${firstLine(error)}.` }
  }
}

function load(file: string): Loaded {
  const fault = process.platform === 'linux' ? faultOf(file) : undefined
  if (fault !== undefined) return { reason: `${file} ${fault}.` }
  try {
    // By its full name: webpack warns of a `createRequire` whose argument it cannot compute.
    const found = module.createRequire(file)(file) as Addon
    const abi: unknown = found?.abi
    if (abi === ABI) return { addon: found }
    if (abi === undefined) return { reason: `${file} is the addon of something else.` }
    return {
      reason: `${file} is stale: it speaks version ${abi}, not ${ABI}; build or install it again.`,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_DISABLED') throw error
    return {
      reason:
        'Addons are forbidden in this process (--permission without --allow-addons, or --no-addons).',
    }
  }
}

function faultOf(file: string): string | undefined {
  const fd = openSync(file, 'r')
  try {
    const head = new Uint8Array(HEAD_BYTES)
    const length = readSync(fd, head)
    return unfit(head.subarray(0, length), fstatSync(fd).size, process.arch)
  } finally {
    closeSync(fd)
  }
}

/** The folder of this package: one level up from dist, two from src/socket. `undefined` inside a bundle. */
function packageRoot(): string | undefined {
  if (HERE === undefined) return undefined
  let folder = dirname(fileURLToPath(HERE))
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) return undefined
    folder = dirname(folder)
  }
  // Another package's folder may hold another addon by the same name.
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return name === 'tcp-sse' ? folder : undefined
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string
}
