/** The addon is located relative to the package's own files, so the package must not be bundled. */
export default { serverExternalPackages: ['tcp-sse'] }
