// Finds the native addon and rejects files that are not this version's addon. A failure is reported as a sentence,
// never as an exception, because applications must start without the addon, too.
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import module from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HEAD_BYTES, unfit } from './elf.js'

/** The exports of native/addon.cc. Every function is stateless and returns `0`, a value or `-errno`. */
export interface Addon {
  readonly abi: number
  readonly options: readonly string[]
  readonly fields: readonly string[]
  setOption(fd: number, option: number, value: number): number
  /**
   * Takes three numbers for each setting: option, value, outcome. Returns how many failed. `save` is 0 or 1: see
   * native/tcp.h.
   */
  setOptions(fd: number, settings: Int32Array, count: number, save: number): number
  getOption(fd: number, option: number): number
  probeOption(option: number): number
  /** Writes a row of `fields` for each fd, beginning at the index in `starts`. */
  inspectMany(fds: Int32Array, starts: Int32Array, count: number, out: Float64Array): void
  /**
   * Takes three numbers for each piece (offset, length, next) and each row (fd, first piece, result). Returns the
   * number of incomplete rows.
   */
  sendMany(
    slab: Uint8Array,
    pieces: Int32Array,
    pieceCount: number,
    rows: Int32Array,
    rowCount: number,
  ): number
  /**
   * Sends the same bytes to the descriptors of rows `from` to `to - 1`. Returns how many took everything. `shorts` gets
   * the number of the others, then for each its row and the bytes that it took or `-errno`.
   */
  sendToEach(
    fds: Int32Array,
    from: number,
    to: number,
    bytes: Uint8Array,
    shorts: Int32Array,
  ): number
  /** The columns of a row about any socket: `fields`, then those of native/diag.h. */
  readonly diagFields: readonly string[]
  /** Returns the number of sockets. Writes as many rows as fit. */
  dumpSockets(
    family: number,
    states: number,
    ports: Int32Array,
    portCount: number,
    out: Float64Array,
  ): number
  /** Takes fourteen words for each id, as in native/diag.h. */
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

/** The location of this module. esbuild leaves it undefined in CommonJS output. */
const HERE: string | undefined = import.meta.url

/** `kAbi` of native/tcp.h. */
const ABI = 7

/** The addon, or the reason why it is missing, in one sentence. */
export type Loaded =
  | { readonly addon: Addon; readonly reason?: undefined }
  | { readonly addon?: undefined; readonly reason: string }

/** Tries to load the addon. Two copies of this library in a process (ESM and CommonJS) share the file. */
export function loadAddon(): Loaded {
  const { env, platform, arch } = process
  if (env.TCP_SSE_NO_ADDON === '1') {
    return { reason: 'TCP_SSE_NO_ADDON=1 switches the addon off.' }
  }
  try {
    // `require` would resolve a relative path from this module. An empty variable counts as unset.
    if (env.TCP_SSE_ADDON) return load(resolve(env.TCP_SSE_ADDON))
    if (platform !== 'linux') return { reason: `There is no addon for ${platform}.` }
    const root = packageRoot()
    if (root === undefined) {
      return {
        reason:
          'The addon cannot be found from inside a bundle. Mark tcp-sse as external in the bundler, or set TCP_SSE_ADDON to the path of the file.',
      }
    }
    // A local build has precedence. Only one file is tried, so that a broken build is reported and not skipped.
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
    // Use the full name: webpack warns about a `createRequire` whose argument it cannot compute.
    const found = module.createRequire(file)(file) as Addon
    const abi: unknown = found?.abi
    if (abi === ABI) return { addon: found }
    if (abi === undefined) return { reason: `${file} is not an addon of tcp-sse.` }
    return {
      reason: `${file} is stale: it has ABI version ${abi}, not ${ABI}. Build or install it again.`,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_DISABLED') throw error
    return {
      reason:
        'Addons are disabled in this process (--permission without --allow-addons, or --no-addons).',
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

/**
 * The folder of this package: the nearest one above this module that has a package.json. `undefined` inside a bundle.
 */
function packageRoot(): string | undefined {
  if (HERE === undefined) return undefined
  let folder = dirname(fileURLToPath(HERE))
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) return undefined
    folder = dirname(folder)
  }
  // The folder of another package may have another addon with the same name.
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return name === 'tcp-sse' ? folder : undefined
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string
}
