import { describe, expect, it } from 'vitest'

interface Known {
  manifest: Record<string, unknown>
  changelog: string
  checkout: { head: string; tags: string[]; changes: string; passed: string | undefined }
  prebuilds: Record<string, string[]>
}
const script = new URL('../../scripts/release.mjs', import.meta.url).href
const { problems } = (await import(script)) as { problems(known: Known): string[] }

const changelog = (unreleased: string, heading: string, text: string): string =>
  `# Changelog\n\n## [Unreleased]\n${unreleased}\n${heading}\n\n### Added\n\n${text}\n\n## [0.1.0] - 2026-01-01\n\n- Old.\n`

const ready: Known = {
  manifest: {
    version: '1.2.3',
    repository: { type: 'git', url: 'git+https://example.com/tcp-sse.git' },
    publishConfig: { provenance: true },
  },
  changelog: changelog('', '## [1.2.3] - 2026-11-25', '- New, because.'),
  checkout: { head: 'abc', tags: ['v1.2.3'], changes: '', passed: 'abc' },
  prebuilds: { 'linux-x64': [], 'linux-arm64': [] },
}

describe('the guard before publishing', () => {
  it('lets a tagged, tested, described version with both addons through', () => {
    expect(problems(ready)).toEqual([])
  })

  it.each<[string, Partial<Known>]>([
    ['changes', { checkout: { ...ready.checkout, changes: ' M README.md' } }],
    ['tag', { checkout: { ...ready.checkout, tags: ['v1.2.2', 'v1.2.30'] } }],
    ['.ci/run', { checkout: { ...ready.checkout, passed: 'older' } }],
    ['.ci/run', { checkout: { ...ready.checkout, passed: undefined } }],
    ['dated section', { changelog: changelog('', '## [1.2.3]', '- New.') }],
    ['dated section', { changelog: changelog('', '## [1.2.3] - 2026-11-25', '') }],
    ['dated section', { changelog: changelog('', '## [1.2.30] - 2026-11-25', '- New.') }],
    [
      'Unreleased',
      { changelog: changelog('\n### Fixed\n\n- Left.\n', '## [1.2.3] - 2026-11-25', '- N.') },
    ],
    ['repository.url', { manifest: { ...ready.manifest, repository: undefined } }],
    ['provenance', { manifest: { ...ready.manifest, publishConfig: { access: 'public' } } }],
    ['linux-arm64', { prebuilds: { 'linux-x64': [], 'linux-arm64': ['it is missing'] } }],
  ])('stops one with a wrong thing: %s', (word, wrong) => {
    const found = problems({ ...ready, ...wrong })
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(word)
  })
})
