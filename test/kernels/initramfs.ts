// The guest's first file system: busybox, the modules that it needs, and what to run.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Kernel } from './packages.js'

/** What our rig and paths use, and what mounts the machine's files. */
const MODULES = [
  ...['virtio_pci', 'virtiofs', 'overlay'],
  ...['veth', 'tun', 'sch_netem', 'sch_tbf'],
  // What the guard of a port asks.
  'tcp_diag',
]

/** Writes an initramfs that runs a shell command in the machine's own root; returns its path. */
export function makeInitramfs(kernel: Kernel, command: string, folder: string): string {
  const root = join(folder, 'initramfs')
  rmSync(root, { recursive: true, force: true })
  for (const each of ['bin', 'proc', 'sys', 'dev', 'lower', 'layer', 'new', 'modules.d']) {
    mkdirSync(join(root, each), { recursive: true })
  }
  copyFileSync(fileURLToPath(new URL('./init.sh', import.meta.url)), join(root, 'init'))
  chmodSync(join(root, 'init'), 0o755)
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim()
  copyFileSync(busybox, join(root, 'bin/busybox'))
  const modules = modulesOf(kernel).map((file) => copyModule(file, root))
  writeFileSync(join(root, 'modules'), modules.map((path) => `${path}\n`).join(''))
  writeFileSync(join(root, 'command'), command)
  const file = join(folder, 'initramfs.gz')
  const pack = `find . | cpio --quiet -o -H newc | gzip -1 > "$1"`
  execFileSync('sh', ['-c', pack, 'sh', file], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return file
}

/** Files in the order in which they are to be loaded; what a kernel has built in has none. */
function modulesOf({ release, folder }: Kernel): string[] {
  const files = MODULES.flatMap((module) => {
    const args = ['-d', folder, '-S', release, '--show-depends', module]
    const lines = execFileSync('modprobe', args, { encoding: 'utf8' }).split('\n')
    return lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? [])
  })
  return [...new Set(files)]
}

/** Busybox loads what is not compressed. */
function copyModule(file: string, root: string): string {
  const packed = /\.(xz|zst|gz)$/.exec(file)?.[1]
  const name = basename(file).replace(/\.(xz|zst|gz)$/, '')
  const target = join(root, 'modules.d', name)
  if (packed === undefined) copyFileSync(file, target)
  else {
    const program = { xz: 'xz', zst: 'zstd', gz: 'gzip' }[packed] as string
    writeFileSync(target, execFileSync(program, ['-dc', file], { maxBuffer: 1e9 }))
  }
  return `/modules.d/${name}`
}
