// A virtual machine under software emulation: a kernel of Debian's over this machine's own files.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { makeInitramfs } from './initramfs.js'
import { type Kernel, virtiofsd } from './packages.js'

const MEMORY = '3G'

/** What to run in a guest, and for how long at most. */
export interface Job {
  readonly kernel: Kernel
  /** A shell command, in the machine's own root. */
  readonly command: string
  readonly within: number
  /** Called for each line of the console. */
  readonly onLine: (line: string) => void
}

/** Boots a guest, runs the command in it, and settles when the guest is off. */
export async function runInGuest({ kernel, command, within, onLine }: Job): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'guest-'))
  const children: ChildProcess[] = []
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', stop)
  try {
    const initramfs = makeInitramfs(kernel, command, folder)
    const share = join(folder, 'share')
    children.push(await shareRoot(share))
    const guest = boot(kernel, initramfs, share)
    children.push(guest)
    await consoleOf(guest, within, onLine)
  } finally {
    process.off('exit', stop)
    stop()
  }
}

async function shareRoot(socket: string): Promise<ChildProcess> {
  const program = virtiofsd() as string
  const ofQemu = program.includes('/qemu/')
  const options = ofQemu
    ? ['-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot']
    : ['--shared-dir', '/', '--cache', 'always', '--sandbox', 'chroot']
  const child = spawn(program, [`--socket-path=${socket}`, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-2_000)
  })
  for (let i = 0; !existsSync(socket); i++) {
    if (child.exitCode !== null || i === 500) throw new Error(`${program} does not share: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return child
}

function boot({ image }: Kernel, initramfs: string, share: string): ChildProcess {
  const machine = ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', MEMORY]
  const quiet = ['-nographic', '-no-reboot', '-nodefaults', '-serial', 'stdio', '-monitor', 'none']
  const files = [
    ...['-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
    ...['-numa', 'node,memdev=memory'],
    ...['-chardev', `socket,id=share,path=${share}`],
    ...['-device', 'vhost-user-fs-pci,chardev=share,tag=host'],
  ]
  const words = 'console=ttyS0 panic=-1 quiet'
  const kernel = ['-kernel', image, '-initrd', initramfs, '-append', words]
  return spawn('qemu-system-x86_64', [...machine, ...quiet, ...files, ...kernel], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function consoleOf(guest: ChildProcess, within: number, onLine: Job['onLine']): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the guest was not done within ${within / 1000} s`))
    }, within)
    const settle = (how: () => void) => () => {
      clearTimeout(timer)
      how()
    }
    createInterface(guest.stdout as NodeJS.ReadableStream).on('line', (line) =>
      onLine(line.trimEnd()),
    )
    guest.on(
      'error',
      settle(() => reject(new Error('qemu-system-x86_64 does not start'))),
    )
    guest.on('close', settle(resolve))
  })
}
