/** The addon is found beside the package's own files, so the package is not bundled. */
export default { serverExternalPackages: ['tcp-sse'] }
