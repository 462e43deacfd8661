// What the kernel bench needs from apt: an emulator and its helpers, installed; Debian's kernels, only unpacked.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { findKernel } from './archives.js'

/** A kernel that can be booted. */
export interface Kernel {
  /** As it was asked for: `6.1`. */
  readonly version: string
  /** As it calls itself: `6.1.0-56-cloud-amd64`. */
  readonly release: string
  readonly image: string
  /** Where its modules are, below lib/modules. */
  readonly folder: string
}

/** Program, and Debian's package. */
const PROGRAMS = [
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['busybox', 'busybox-static'],
  ['cpio', 'cpio'],
  ['depmod', 'kmod'],
  ['xz', 'xz-utils'],
  ['ip', 'iproute2'],
] as const

const VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd']

/** The program that shares files with a guest: the emulator's own once, a package of its own since Debian 13. */
export const virtiofsd = (): string | undefined => VIRTIOFSD.find((path) => existsSync(path))

/** Installs what is missing. */
export function needPrograms(): void {
  const missing = PROGRAMS.filter(([program]) => !has(program)).map(([, name]) => name)
  if (missing.length > 0) install(missing)
  if (virtiofsd() === undefined) install(['virtiofsd'])
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

function install(packages: readonly string[]): void {
  console.log(`apt-get install ${packages.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...packages]
  execFileSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The newest kernel of a version such as `6.1`: what is unpacked already, else Debian's. */
export function kernelOf(version: string, cache: string, fresh = false): Kernel {
  const folder = join(cache, version)
  if (fresh || !existsSync(folder)) fetchKernel(version, folder)
  const [release] = readdirSync(join(folder, 'lib/modules'))
  const image = readdirSync(join(folder, 'boot')).find((name) => name.startsWith('vmlinuz-'))
  if (release === undefined || image === undefined) throw new Error(`${folder} holds no kernel`)
  return { version, release, image: join(folder, 'boot', image), folder }
}

function fetchKernel(version: string, folder: string): void {
  const { name, options } = findKernel(version, join(folder, '../apt'))
  console.log(`apt-get download ${name}`)
  const fresh = `${folder}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  execFileSync('apt-get', [...options, 'download', '-qq', name], {
    cwd: fresh,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [archive] = readdirSync(fresh).map((file) => join(fresh, file))
  execFileSync('dpkg', ['-x', archive as string, fresh])
  rmSync(archive as string)
  // Debian 13 has /lib in /usr.
  if (!existsSync(join(fresh, 'lib'))) renameSync(join(fresh, 'usr/lib'), join(fresh, 'lib'))
  const [release] = readdirSync(join(fresh, 'lib/modules'))
  execFileSync('depmod', ['-b', fresh, release as string])
  rmSync(folder, { recursive: true, force: true })
  renameSync(fresh, folder)
}
