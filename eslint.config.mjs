// The program of the report's page, copl/report.js
const readonly = ['document', 'location', 'history', 'window', 'matchMedia', 'atob', 'Blob', 'URL',
  'URLSearchParams', 'ResizeObserver']

export default [
  {
    files: ['copl/*.js'],
    languageOptions: {
      sourceType: 'script',
      globals: Object.fromEntries(readonly.map(name => [name, 'readonly'])),
    },
    rules: {
      'eqeqeq': 'error',
      'max-len': ['error', 100],
      'max-lines-per-function': ['error', 36],
      'no-const-assign': 'error',
      'no-dupe-keys': 'error',
      'no-redeclare': 'error',
      'no-shadow': 'error',
      'no-undef': 'error',
      'no-unreachable': 'error',
      'no-unused-vars': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
]
