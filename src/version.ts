// The version of this package, as `lpuc --version` prints it. A test holds it to package.json.
export const version = "0.1.0";
