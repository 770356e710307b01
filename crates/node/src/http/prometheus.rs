//! `/metrics`: all metrics in the format of OpenMetrics, under ZooKeeper's names.
//!
//! A counter is of type `unknown`: the format wants names of counters to end in `_total`, and ZooKeeper's do not.
//! A summary is a histogram: `_count` and `_sum` are as ZooKeeper's, buckets take the place of quantiles.

use peer::AvgMinMax;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::metrics::Value;

pub fn encode_samples(samples: Vec<(&'static str, Value)>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut text = String::new();
    // A String takes whatever is written.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Samples(Vec<(&'static str, Value)>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, value) in &self.0 {
            match value {
                // No number: `mntr` alone tells it.
                Value::Text(_) => {}
                Value::Gauge(value) => {
                    let of = encoder.encode_descriptor(name, name, None, MetricType::Gauge)?;
                    ConstGauge::new(*value).encode(of)?;
                }
                Value::Float(value) => {
                    let of = encoder.encode_descriptor(name, name, None, MetricType::Gauge)?;
                    ConstGauge::new(*value).encode(of)?;
                }
                Value::Counter(value) => {
                    let of = encoder.encode_descriptor(name, name, None, MetricType::Unknown)?;
                    ConstGauge::new(*value as i64).encode(of)?;
                }
                Value::Summary(values) => {
                    let mut of = encoder.encode_descriptor(name, name, None, MetricType::Histogram)?;
                    of.encode_histogram::<NoLabelSet>(
                        values.total as f64,
                        values.count,
                        &buckets(values),
                        None,
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// The largest value of each bucket, and how many are in it alone.
fn buckets(values: &AvgMinMax) -> Vec<(f64, u64)> {
    let last = values.buckets.len() - 1;
    let bound = |index: usize| if index == last { f64::INFINITY } else { ((1_u64 << index) - 1) as f64 };
    values.buckets.iter().enumerate().map(|(index, count)| (bound(index), *count)).collect()
}
