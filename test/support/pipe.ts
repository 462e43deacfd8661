// The program that is a path where the kernel has no netem: compiled when it is first needed, beside the addon.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Namespace } from '../../src/testing/namespace.js'

/** A running pipe. */
export interface Pipe {
  /** Says one line and settles with the answer. */
  say(line: string): Promise<string>
  close(): void
}

/** Starts a pipe between two namespaces. It ends when this process does. */
export async function startPipe(near: Namespace, far: Namespace, device: string): Promise<Pipe> {
  const netns = (namespace: Namespace): string => `/proc/${namespace.id}/ns/net`
  const command = [...near.prefix, program(), netns(near), netns(far), device]
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(line))
  const end = (why: string): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the pipe has ended: ${why}`))
  }
  child.on('error', ({ message }) => end(message))
  child.on('close', (code, signal) => end(stderr.trim() || String(signal ?? code)))
  const answer = (): Promise<string> =>
    new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  await answer()
  return {
    say(line) {
      child.stdin.write(`${line}\n`)
      return answer()
    },
    close: () => void child.kill('SIGKILL'),
  }
}

function program(): string {
  const source = fileURLToPath(new URL('./pipe.c', import.meta.url))
  const folder = fileURLToPath(new URL('../../build/test', import.meta.url))
  const file = `${folder}/pipe`
  if (!existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(folder, { recursive: true })
    // Other test files may want it at the same time.
    const fresh = `${file}.${process.pid}`
    execFileSync('cc', ['-O2', '-Wall', '-o', fresh, source], { stdio: 'inherit' })
    renameSync(fresh, file)
  }
  return file
}
