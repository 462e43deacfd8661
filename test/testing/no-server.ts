throw new Error('this module has nothing to serve')
