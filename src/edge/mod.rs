//! The edge: the only place that names rdkafka and mongodb. Foreign errors stop here.
