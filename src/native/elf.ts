// Checks the header of a Linux binary, elf(5), before the dynamic loader maps the file. For a wrong architecture, the
// loader reports "no such file"; a truncated file ends the process with SIGBUS.

/** The length of a 64-bit header. */
const HEADER_BYTES = 64

/** Bytes to read from the beginning of a file: the header and, where linkers put it, the program header table. */
export const HEAD_BYTES = 4_096

/** `e_machine` for each `process.arch` of Node on Linux. */
const MACHINES: Readonly<Record<string, number>> = {
  ia32: 3,
  ppc64: 21,
  s390x: 22,
  arm: 40,
  x64: 62,
  arm64: 183,
  riscv64: 243,
  loong64: 258,
}

/**
 * Why a file cannot be loaded on this architecture, as a phrase that follows its name; `undefined` if it may be loaded.
 *
 * @param head - the first `HEAD_BYTES` of the file, or fewer if it is shorter
 * @param size - the length of the file in bytes
 */
export function unfit(head: Uint8Array, size: number, arch: string): string | undefined {
  if (head.length < HEADER_BYTES || !startsLikeElf(head)) return 'is not a Linux binary'
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const littleEndian = head[5] === 1
  const machine = view.getUint16(18, littleEndian)
  const wanted = MACHINES[arch]
  if (wanted !== undefined && wanted !== machine) return `is for ${nameOf(machine)}, not ${arch}`
  // Linkers write the section header table last. Only 64-bit headers have it at this offset.
  if (head[4] !== 2) return undefined
  const end =
    Number(view.getBigUint64(40, littleEndian)) +
    view.getUint16(58, littleEndian) * view.getUint16(60, littleEndian)
  return Math.max(end, endOfSegments(view, littleEndian)) > size ? 'is truncated' : undefined
}

/** The end of the last mapped byte. A file whose section header table was stripped has only these. */
function endOfSegments(view: DataView, littleEndian: boolean): number {
  const first = Number(view.getBigUint64(32, littleEndian))
  const length = view.getUint16(54, littleEndian)
  let end = 0
  for (let index = 0; index < view.getUint16(56, littleEndian); index++) {
    const at = first + index * length
    if (at + SEGMENT_BYTES > view.byteLength) break
    const [offset, bytes] = [at + 8, at + 32].map((place) => view.getBigUint64(place, littleEndian))
    end = Math.max(end, Number(offset) + Number(bytes))
  }
  return end
}

/** The length of a program header in bytes. */
const SEGMENT_BYTES = 56

function startsLikeElf([a, b, c, d]: Uint8Array): boolean {
  return a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46
}

function nameOf(machine: number): string {
  return Object.keys(MACHINES).find((arch) => MACHINES[arch] === machine) ?? 'another machine'
}
