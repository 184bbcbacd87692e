//! Speed of the simulator. Run with `cargo bench -p autoscalebot-simulate`.

fn main() {
    divan::main();
}
